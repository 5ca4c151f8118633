"""Whose masks are shown: a person's, or those of weights that may have met the patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import WeightsError
from core.evaluation import cross_validated_dice, side_of_case, trained_on_generated
from core.loading import Case, case_of_scan
from core.system import number_text
from core.ui.scan.measures import CORRECTED, dice_of
from core.ui.session import OpenStudy, remember

if TYPE_CHECKING:  # loaded where it is first needed
    from core.segmentation import WeightsInfo


def whose_sentence(current: OpenStudy, name: str) -> str:
    """Who has made these masks and, for weights, whether they learned from this patient: then also
    what they reached on it when they had not."""
    if name == CORRECTED:
        return current.correction.record.sentence
    if current.segmentation is None:
        return ""
    weights_id = current.segmentation.weights_id
    sentence = f"Masks by {weights_id}{remember(current, 'whose', lambda: _learned(current))}."
    dice = dice_of(current, name, "infection")
    if dice is not None and current.study.synthetic:
        sentence += f" Dice of infection against the known truth: {number_text(dice)}."
    elif dice is not None:
        elsewhere = remember(current, "out of fold", lambda: _out_of_fold(current))
        unmet = (
            ""
            if elsewhere is None
            else f"; {number_text(elsewhere)} when not trained on this patient"
        )
        sentence += f" Dice of infection: {number_text(dice)} here{unmet}."
    return sentence


def _learned(current: OpenStudy) -> str:
    """What the weights have seen, as the end of a sentence."""
    info = _info(current)
    if info is None:
        return ", which is not installed any more"
    if trained_on_generated(info):
        if current.study.synthetic:
            return ", trained on generated chests"
        return ", trained on generated chests only: on a real scan its masks are meaningless"
    if current.study.synthetic:
        return ", trained on scans of patients; this chest is generated"
    return {
        "training": ", which was trained on this patient",
        "validation": ", which was selected on this patient among others",
        "unseen": ", which was not trained on a patient of this name",
    }[side_of_case(_case(current), info)]


def _out_of_fold(current: OpenStudy) -> float | None:
    info = _info(current)
    if info is None or side_of_case(_case(current), info) != "training":
        return None
    return cross_validated_dice(_case(current), info).get("infection")


def _case(current: OpenStudy) -> Case:
    return case_of_scan(current.study.case_id or current.study.volume.source.name)


def _info(current: OpenStudy) -> WeightsInfo | None:
    from core.segmentation import find_weights

    assert current.segmentation is not None
    try:
        return find_weights(current.segmentation.weights_id)
    except WeightsError:  # removed since the run
        return None
