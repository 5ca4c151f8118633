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
