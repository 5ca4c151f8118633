"""A picture as the open study: whether it is one, and how it is shown upright."""

from __future__ import annotations

from core.ui.session import OpenStudy


def is_picture(current: OpenStudy) -> bool:
    """Whether the open study is one picture."""
    volume = current.study.volume
    return volume.source.format == "pictures" and volume.shape[2] == 1


def turns_of(current: OpenStudy) -> int:
    """By how many 90° pictures on their side are turned clockwise to stand upright, as the network
    that marked them found; 0 for scans, and as long as that is not known."""
    run = current.segmentation
    are_pictures = current.study.volume.source.format == "pictures"
    return run.record.quarter_turns if are_pictures and run is not None else 0
