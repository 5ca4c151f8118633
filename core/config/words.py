"""Words that many settings share."""

from __future__ import annotations

from typing import Literal

Plane = Literal["axial", "coronal", "sagittal"]
Channel = Literal["lung", "infection"]

EngineName = Literal["auto", "openvino", "keras"]
"""What computes the network; auto takes what is fastest on the machine."""

CHANNELS: tuple[Channel, ...] = ("lung", "infection")
"""Order of the network's output channels."""

DEMO_CASES = ("generated_1", "generated_2", "generated_3", "generated_4")
"""Case ids of the generated patients that can be trained on, each a patient of its own."""

RESEARCH_NOTE = "Research software, never a diagnosis."
"""Stands wherever a number could be mistaken for a diagnosis."""

EXCHANGED_NOTE = (
    "Black and white seem to be exchanged; if they are, the masks are meaningless. Invert the "
    "slices first."
)
"""The warning of a scan or a picture that looks like a negative."""

LobeName = Literal["right_upper", "right_middle", "right_lower", "left_upper", "left_lower"]
LOBE_LABELS: dict[LobeName, str] = {
    "right_upper": "Right upper lobe",
    "right_middle": "Right middle lobe",
    "right_lower": "Right lower lobe",
    "left_upper": "Left upper lobe",
    "left_lower": "Left lower lobe",
}
"""In this order they are 1 to 5 in label maps of lobes."""
LOBE_COLOURS: dict[LobeName, str] = {
    "right_upper": "#81BEF4",
    "right_middle": "#D1D8D2",
    "right_lower": "#00AA54",
    "left_upper": "#CA7FA3",
    "left_lower": "#0B6DC8",
}
"""Near Okabe and Ito's palette, and grey: people with a colour vision deficiency can distinguish
them. The colours of infection are none of them."""
LOBES: tuple[LobeName, ...] = tuple(LOBE_LABELS)
FIRST_LEFT_LOBE = 4
"""Labels from here on are those of the left lung."""
