"""The five lobes as a small picture: how much of each is infected, at a glance."""

from __future__ import annotations

import math
from collections.abc import Mapping

from core.config import FIRST_LEFT_LOBE, LOBE_LABELS, LOBES, LobeName
from core.system import percent_text
from core.ui.scan.lung_outline import Level, known_share, lung_part, lungs_img

_HEIGHTS: dict[LobeName, tuple[Level, Level]] = {
    "right_upper": ((0.0, 0.0), (0.46, 0.42)),
    "right_middle": ((0.46, 0.42), (0.68, 0.86)),
    "right_lower": ((0.68, 0.86), (1.0, 1.0)),
    "left_upper": ((0.0, 0.0), (0.58, 0.8)),
    "left_lower": ((0.58, 0.8), (1.0, 1.0)),
}
"""Where a lobe begins and ends, seen from the front: at the ribs and at the heart, 0 apex to
1 base. A lower lobe reaches higher at the back than a picture from the front can show."""


def lobes_html(values: Mapping[str, object], *, ink: str) -> str:
    """`img` of the lobes, the patient's right on the left as in the slices; empty where no share of
    a lobe is known. The deeper the amber, the larger the infected share; the number says it as
    well.

    Args:
        values: biomarkers by key, of which `right_upper_lobe_infected_share` and its like are
            drawn.
        ink: colour of numbers and outlines, "#rrggbb".
    """
    shares = {name: known_share(values.get(f"{name}_lobe_infected_share")) for name in LOBES}
    if all(math.isnan(share) for share in shares.values()):
        return ""
    words = "; ".join(
        f"{LOBE_LABELS[name].lower()} {percent_text(share, digits=0, undefined='not defined')}"
        for name, share in shares.items()
    )
    parts = [
        lung_part(*_HEIGHTS[name], share, is_left=LOBES.index(name) + 1 >= FIRST_LEFT_LOBE)
        for name, share in shares.items()
    ]
    return lungs_img(parts, alt=f"Infected share by lobe, estimated: {words}", ink=ink)
