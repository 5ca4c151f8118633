"""A corrected scan becomes a training case in the 20-case layout, and other programs read it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from core.correction import HandCorrection
from core.errors import SaveError
from core.loading import load_case, load_case_table
from core.output import add_training_case, list_training_cases, remove_training_case
from core.volume import MaskPair
from tests.studies import small_study, small_truth

BY_HAND = HandCorrection(from_network=True, steps=4)


def test_a_case_goes_out_is_read_by_others_and_comes_back(tmp_path: Path) -> None:
    study = small_study(truth=False, case_id="")
    masks = small_truth()
    name = add_training_case(tmp_path, study, masks, patient="p1", by_hand=BY_HAND)
    assert name == "own_p1_1"
    (case,) = load_case_table(tmp_path)
    assert (case.case_id, case.patient_id) == ("own_p1_1", "own_p1")
    again = load_case(case)
    assert again.volume.unit == "HU"
    np.testing.assert_array_equal(again.volume.array, study.volume.array)
    np.testing.assert_array_equal(again.truth.lung, masks.lung)
    np.testing.assert_array_equal(again.truth.infection, masks.infection)
    image = SimpleITK.ReadImage(str(tmp_path / "infection_mask" / f"{name}.nii.gz"))
    assert SimpleITK.GetArrayFromImage(image).sum() == masks.infection.sum()
    assert image.GetSpacing() == pytest.approx(study.volume.spacing_mm)
    facts = list_training_cases(tmp_path)[name]
    assert facts["masks"] == "corrected by hand"
    assert facts["fingerprint"] == study.volume.digest


def test_the_same_scan_takes_the_place_of_its_case_and_another_gets_a_number(
    tmp_path: Path,
) -> None:
    study = small_study(truth=False, case_id="")
    other = small_study(truth=False, case_id="", nominal=True, grey=True)
    for one in (study, other, study):
        add_training_case(tmp_path, one, small_truth(), patient="p1", by_hand=BY_HAND)
    assert sorted(list_training_cases(tmp_path)) == ["own_p1_1", "own_p1_2"]
    assert {case.patient_id for case in load_case_table(tmp_path)} == {"own_p1"}
    add_training_case(tmp_path, other, small_truth(), patient="p2", by_hand=None)
    assert list_training_cases(tmp_path)["own_p2_1"]["masks"] == "true mask"


def test_a_case_of_the_public_set_keeps_its_patient(tmp_path: Path) -> None:
    study = small_study(case_id="radiopaedia_org_covid-19-pneumonia-10_85902_3-dcm")
    add_training_case(tmp_path, study, small_truth(), patient="p9", by_hand=BY_HAND)
    (case,) = load_case_table(tmp_path)
    assert case.patient_id == "radiopaedia_10"


@pytest.mark.parametrize("patient", ["", "Mr Nobody", "../x", "a" * 31, "-a", "ä"])
def test_only_pseudonyms_that_are_plain_names_are_taken(tmp_path: Path, patient: str) -> None:
    with pytest.raises(SaveError, match="cannot be used for a patient"):
        add_training_case(
            tmp_path, small_study(case_id=""), small_truth(), patient=patient, by_hand=BY_HAND
        )
    assert list(tmp_path.iterdir()) == []


def test_both_masks_are_needed(tmp_path: Path) -> None:
    masks = MaskPair(None, small_truth().infection)
    with pytest.raises(SaveError, match="no mask of the lung"):
        add_training_case(tmp_path, small_study(), masks, patient="p1", by_hand=BY_HAND)


def test_cases_are_removed_and_a_damaged_list_is_none(tmp_path: Path) -> None:
    study = small_study(truth=False, case_id="")
    name = add_training_case(tmp_path / "own", study, small_truth(), patient="p1", by_hand=BY_HAND)
    with pytest.raises(SaveError, match="no such"):
        remove_training_case(tmp_path / "own", "../own_p1_1")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cases.json").write_text(json.dumps([1]))
    assert list_training_cases(tmp_path / "other") == {}
    remove_training_case(tmp_path / "own", name)
    assert not (tmp_path / "own").exists()
