"""Both lungs as a small picture: how much of each zone is infected, at a glance."""

from __future__ import annotations

import math
from collections.abc import Mapping

from core.system import percent_text
from core.ui.scan.lung_outline import known_share, lung_part, lungs_img

THIRDS = ("upper", "middle", "lower")


def lungs_html(values: Mapping[str, object], *, ink: str) -> str:
    """`img` of the thirds of both lungs, the patient's right on the left as in the slices; empty
    where no zone is known. The deeper the amber, the larger the infected share; the number says
    it as well.

    Args:
        values: biomarkers by key, of which `infected_share_right_upper` and its like are drawn.
        ink: colour of numbers and outlines, "#rrggbb".
    """
    shares = {
        (side, third): known_share(values.get(f"infected_share_{side}_{third}"))
        for side in ("right", "left")
        for third in THIRDS
    }
    if all(math.isnan(share) for share in shares.values()):
        return ""
    words = "; ".join(
        f"{side} {third} {percent_text(share, digits=0, undefined='not defined')}"
        for (side, third), share in shares.items()
    )
    zones = [_zone(side, THIRDS.index(third), share) for (side, third), share in shares.items()]
    return lungs_img(zones, alt=f"Infected share by zone: {words}", ink=ink)


def _zone(side: str, number: int, share: float) -> str:
    top, end = number / len(THIRDS), (number + 1) / len(THIRDS)
    return lung_part((top, top), (end, end), share, is_left=side == "left")
