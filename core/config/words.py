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
    "right_upper": "#56B4E9",
    "right_middle": "#B8BDC2",
    "right_lower": "#009E73",
    "left_upper": "#CC79A7",
    "left_lower": "#0072B2",
}
"""Of Okabe and Ito's palette, which people who see red and green alike can tell apart, and grey.
The colours of infection are none of them."""
LOBES: tuple[LobeName, ...] = tuple(LOBE_LABELS)
FIRST_LEFT_LOBE = 4
"""Labels from here on are those of the left lung."""
