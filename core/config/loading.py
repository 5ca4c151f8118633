"""Limits of what is loaded, and the first display windows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.errors import ConfigError


@dataclass(frozen=True)
class LoadLimits:
    """Sizes past which an input is refused before memory is taken."""

    max_voxels: int = 1024 * 1024 * 512
    max_side: int = 4096
    max_files: int = 5000
    max_unpacked_bytes: int = 4 * 1024**3
    max_compression_ratio: float = 200.0
    min_side: int = 16
    """Smallest number of rows or columns of an axial slice that can still show a chest."""


@dataclass(frozen=True)
class WindowPreset:
    """A display window in HU."""

    name: str
    center: float
    width: float


WINDOW_PRESETS: tuple[WindowPreset, ...] = (
    WindowPreset("Lung", -600.0, 1500.0),
    WindowPreset("Mediastinum", 40.0, 400.0),
    WindowPreset("Bone", 400.0, 1800.0),
    WindowPreset("Wide", -100.0, 2400.0),
)

GREY_WINDOW_HU: tuple[float, float] = (-1250.0, 250.0)
"""HU that black and white of an 8-bit scan are taken to stand for, unless a person says otherwise.

The authors of the 20-case set exported half of it with this lung window (Ma et al. 2021,
doi:10.1002/mp.14676)."""


def check_window(low_hu: float, high_hu: float) -> None:
    """Checks the HU that black and white stand for.

    Raises:
        ConfigError: black is not below white.
    """
    if not -math.inf < low_hu < high_hu < math.inf:
        raise ConfigError(
            "The window of the grey values cannot be used",
            got=f"black {low_hu:g} HU, white {high_hu:g} HU",
            expected="black below white",
        )
