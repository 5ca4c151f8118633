"""Which zones of the lungs an infection prefers, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping

GROUPS_OF_ZONES = (("upper", "middle", "lower"), ("ventral", "dorsal"))
"""Zones that divide both lungs, of which one may stand out."""
_LEADS_FROM = 1.25
"""A zone stands out if its infected share is this many times that of both lungs."""


def leading_zones(values: Mapping[str, object]) -> tuple[str, ...]:
    """The third and the half of both lungs that are infected more than the rest, such as
    ("lower", "dorsal"); empty where none stands out or it is not known.

    A zone is named if its infected share is the largest of its group and at least 1.25 times that
    of both lungs together.

    Args:
        values: biomarkers by key, as in `Biomarkers.measurements` or the table of a batch.
    """
    whole = _number(values.get("infected_share"))
    if not whole > 0:
        return ()
    leading = []
    for zones in GROUPS_OF_ZONES:
        shares = {zone: _number(values.get(f"infected_share_{zone}")) for zone in zones}
        if any(math.isnan(share) for share in shares.values()):
            continue
        first = max(shares, key=lambda zone: shares[zone])
        if shares[first] >= _LEADS_FROM * whole:
            leading.append(first)
    return tuple(leading)


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
