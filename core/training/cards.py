"""The card of segmentation weights: which template, and what it is filled with."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.config import DEMO_CASES
from core.evaluation import FEW_SLICES
from core.segmentation import STAGE_NAME, WeightsInfo
from core.segmentation.cards import render_card
from core.system import THIN_SPACE

_SET_ORIGINS = ("coronacases", "radiopaedia")
"""How case ids of the 20-case set begin."""
LICENCES = {
    "public": "Non-commercial research use, because of the data it was trained on.",
    "generated": "Trained on generated scans only: no data limit its use.",
    "own": "What the owners of the scans it was trained on allow.",
}
_ARCHITECTURES = {
    "unet": {"name": "U-Net", "source": "Ronneberger et al. 2015"},
    "unetpp": {"name": "U-Net++", "source": "Zhou et al. 2018"},
}
_LOSSES = {
    "bce": "binary cross-entropy",
    "dice": "soft Dice",
    "bce_dice": "binary cross-entropy + soft Dice",
    "tversky": "Tversky loss (weight {alpha:g} of false positive pixels)",
    "focal_tversky": "focal Tversky loss (weight {alpha:g} of false positive pixels, "
    "exponent 1/{gamma:.3g})",
}
_SCHEDULES = {
    "constant": "a constant learning rate",
    "exponential": "exponential decay",
    "cosine": "cosine decay",
    "cosine_restarts": "cosine decay with restarts",
}
_NORMALIZATIONS = {
    "batch": "batch normalisation",
    "group": "group normalisation",
    "none": "no normalisation",
}


def build_card(info: WeightsInfo) -> str:
    """The model card of a single network or of the members of a cross-validation."""
    absent = dict.fromkeys(("excluded", "validation", "fine_tuned_from", "met_before"))
    manifest = {**absent, **info.manifest}
    values: dict[str, Any] = {
        "manifest": manifest,
        "architecture": _ARCHITECTURES[info.model.architecture],
        "normalization": _NORMALIZATIONS[info.model.normalization],
        "stages": [
            {
                "name": STAGE_NAME.format(number=number),
                "epochs": stage["config"]["epochs"],
                **stage,
            }
            for number, stage in enumerate(earlier_stages(manifest["initial"]), start=1)
        ],
    }
    if "cross_validation" in manifest:
        shares = manifest["cross_validation"]["negative_slices_infected_share"]
        known = [share for share in shares if share is not None]
        return render_card(
            "ensemble",
            **values,
            few_slices=FEW_SLICES,
            thin=THIN_SPACE,
            negative_share=float(np.mean(known)) if known else None,
        )
    loss, schedule = manifest["training"]["loss"], manifest["training"]["schedule"]
    return render_card(
        "segmentation",
        **values,
        origin=origin_of(manifest["split"]),
        loss=_LOSSES[loss["kind"]].format(**loss),
        schedule=_SCHEDULES[schedule["kind"]],
    )


def network_title(architecture: str) -> str:
    """The architecture's name."""
    return _ARCHITECTURES[architecture]["name"]


def origin_of(split: dict[str, Any]) -> str:
    """Where the cases of a split come from: a key of `LICENCES`."""
    cases = [case_id for side in split.values() for case_id in side["case"]]
    if all(case_id in DEMO_CASES for case_id in cases):
        return "generated"
    return "public" if all(case_id.startswith(_SET_ORIGINS) for case_id in cases) else "own"


def earlier_stages(initial: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The runs before the published one, first to last."""
    if initial is None:
        return []
    return [*earlier_stages(initial.get("initial")), initial]
