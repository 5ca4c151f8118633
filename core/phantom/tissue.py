"""Densities of the demo study's tissues in HU."""

from __future__ import annotations

AIR = -1000.0
LUNG = -850.0
FAT = -103.0
MUSCLE = 52.0
BLOOD = 42.0
LIVER = 58.0
SKIN = 15.0
CORTEX = 780.0
MARROW = 190.0
CARTILAGE = 95.0
DISC = 85.0
