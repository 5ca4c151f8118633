"""Lists of exclusions, folders of cases, and the command line of scan quality."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.cli import main
from core.config import QualityConfig
from core.errors import Cancelled, DatasetError
from core.loading import load_case_table
from core.measuring.quality.empty import EmptySlices
from core.measuring.quality.exclusions import (
    Exclusion,
    exclusions_text,
    parse_exclusions,
    read_exclusions,
)
from core.measuring.quality.survey import EmptyTotal, survey_cases, total_empty
from core.output.saving import save_mask, save_volume
from core.training.fit import train
from core.training.scans import TrainingScan, leave_out
from tests.scans import nifti_bytes
from tests.studies import small_truth, small_volume
from tests.training_data import CASES, TINY, write_training_folder

LISTED = (Exclusion("case_1", (2, 28)), Exclusion("case_2", None))


# ---------------------------------------------------------------- the list


def test_a_list_counts_from_one_in_the_file_and_comes_back_the_same(tmp_path):
    path = tmp_path / "exclude.json"
    path.write_text(exclusions_text(LISTED), encoding="utf-8")
    assert json.loads(path.read_text()) == {
        "slices_count_from": 1,
        "exclude": [
            {"case_id": "case_1", "slices": [3, 29]},
            {"case_id": "case_2", "slices": "all"},
        ],
    }
    assert read_exclusions(path) == LISTED


def entry(slices: Any, case_id: Any = "case_1") -> dict[str, Any]:
    return {"case_id": case_id, "slices": slices}


def listed(*entries: Any, first: Any = 1) -> dict[str, Any]:
    return {"slices_count_from": first, "exclude": list(entries)}


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ([entry([1])], "no object"),
        ({}, "an empty object"),
        ({"exclude": []}, "got exclude"),
        ({**listed(), "more": 1}, "more"),
        (listed(first=0), "slices_count_from 0"),
        (listed(first=True), "slices_count_from True"),
        ({"slices_count_from": 1, "exclude": {}}, "not a list"),
        (listed("case_1"), "an entry"),
        (listed({"case_id": "case_1"}), "an entry"),
        (listed(entry([1], case_id=7)), "not text"),
        (listed(entry([1], case_id="")), "not text"),
        (listed(entry([])), "neither numbers nor 'all'"),
        (listed(entry("some")), "neither numbers nor 'all'"),
        (listed(entry([0])), "not a whole number from 1 on"),
        (listed(entry([-3])), "not a whole number from 1 on"),
        (listed(entry([1.0])), "not a whole number from 1 on"),
        (listed(entry(["1"])), "not a whole number from 1 on"),
        (listed(entry([True])), "not a whole number from 1 on"),
        (listed(entry([4, 4])), "a slice of case case_1 twice"),
        (listed(entry([1]), entry("all")), "case case_1 twice"),
    ],
)
def test_other_layouts_are_refused_with_what_is_wrong(content, got):
    with pytest.raises(DatasetError, match="export it again") as refused:
        parse_exclusions(content, name="list.json")
    assert got in str(refused.value)


@pytest.mark.parametrize("text", [None, "", "{", "\x00", "[" * 100_000])
def test_files_that_are_not_json_are_refused(text, tmp_path):
    path = tmp_path / "list.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DatasetError, match=r"list\.json cannot be read.*--exclude"):
        read_exclusions(path)


# ---------------------------------------------------------------- training without it


def made(scan_id: str, *, slices: int = 4, lung: bool = True) -> TrainingScan:
    """A scan whose slices hold their own number."""
    numbers = np.broadcast_to(np.arange(slices, dtype=np.uint8)[:, None, None], (slices, 2, 3))
    return TrainingScan(scan_id, scan_id, "case", numbers, numbers if lung else None, numbers)


def test_listed_slices_and_cases_are_left_out_of_training():
    scans = (made("a"), made("b"), made("c", lung=False))
    kept = leave_out(scans, (Exclusion("c", (0, 2)), Exclusion("b", None)))
    assert [scan.scan_id for scan in kept] == ["a", "c"]
    assert kept[0] is scans[0]
    assert kept[1].images[:, 0, 0].tolist() == [1, 3]
    assert kept[1].infection[:, 0, 0].tolist() == [1, 3]
    assert kept[1].lung is None
    every_slice = leave_out(scans, (Exclusion("a", (0, 1, 2, 3)),))
    assert [scan.scan_id for scan in every_slice] == ["b", "c"]
    assert leave_out(scans, ()) == scans


@pytest.mark.parametrize(
    ("exclusion", "sentence"),
    [
        (Exclusion("d", None), "not there: got d, expected one of the 1 scans"),
        (Exclusion("a", (1, 4)), "got slice 5, expected slices 1 to 4"),
    ],
)
def test_lists_that_do_not_fit_the_data_are_refused(exclusion, sentence):
    with pytest.raises(DatasetError, match=sentence):
        leave_out((made("a"),), (exclusion,))


def stopped_run(data: Path, folder: Path, *arguments: str) -> dict[str, Any]:
    """`run.json` of a run that is stopped at its first batch."""
    excluded = read_exclusions(Path(arguments[0])) if arguments else ()
    with pytest.raises(Cancelled):
        train(data, folder, TINY, excluded=excluded, should_cancel=lambda: True)
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return record


@pytest.mark.usefixtures("eager")
def test_a_run_records_its_exclusions_and_resumes_only_with_them(tmp_path, capsys):
    data = write_training_folder(tmp_path / "data")
    path = tmp_path / "exclude.json"
    path.write_text(exclusions_text((Exclusion(CASES[0], None), Exclusion(CASES[1], (0, 3)))))
    record = stopped_run(data, tmp_path / "run", str(path))
    assert record["excluded"] == json.loads(path.read_text())
    named = {name for side in record["split"].values() for name in side["case"]}
    assert named == set(CASES) - {CASES[0]}
    with pytest.raises(DatasetError, match="other exclusions"):
        train(data, tmp_path / "run", TINY)
    assert "excluded" not in stopped_run(data, tmp_path / "plain")
    path.write_text("[]")
    assert main(["train", "--data", str(data), "--out", str(tmp_path), "--exclude", str(path)]) == 1
    assert "The list of exclusions exclude.json is not understood" in capsys.readouterr().err


# ---------------------------------------------------------------- folders of cases


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Two scans, one with its infection, and a file that is no scan."""
    volume, truth = small_volume(), small_truth()
    assert truth.infection is not None
    for number in (1, 2):
        save_volume(volume, tmp_path / "ct_scans" / f"case_{number}.nii.gz")
    save_mask(truth.infection, volume, tmp_path / "infection_mask" / "case_1.nii.gz")
    (tmp_path / "ct_scans" / "case_3.nii").write_bytes(nifti_bytes(volume.array)[:1000])
    return tmp_path


def test_a_survey_has_a_row_for_each_case_even_if_it_cannot_be_opened(cases):
    one, other, damaged = survey_cases(load_case_table(cases))
    assert [row.case_id for row in (one, other, damaged)] == ["case_1", "case_2", "case_3"]
    assert one.truth is not None
    assert (one.truth.slices, one.truth.empty) == (8, 5)
    assert (other.truth, other.prediction, damaged.truth) == (None, None, None)
    assert "damaged or cut short" in damaged.error
    assert damaged.report(QualityConfig()) is None
    # A body 44 voxels wide is far below the threshold in every slice, and not below 16.
    coarse = one.report(QualityConfig())
    fine = one.report(QualityConfig(min_body_pixels=16))
    assert coarse is not None
    assert fine is not None
    assert sum(f.check == "body_pixels" for f in coarse.findings) == 8
    assert sum(f.check == "body_pixels" for f in fine.findings) == 0


def test_a_survey_can_be_stopped_between_cases(cases):
    seen = []
    with pytest.raises(Cancelled):
        seen.extend(survey_cases(load_case_table(cases), should_cancel=lambda: len(seen) == 1))
    assert [row.case_id for row in seen] == ["case_1"]


def test_totals_leave_out_what_is_not_known():
    def known(*pixels: int) -> EmptySlices:
        return EmptySlices(np.array(pixels, dtype=float))

    assert total_empty([known(0, 3, 0), None, known(5, 0)]) == EmptyTotal(2, slices=5, empty=3)
    assert total_empty([None]) == EmptyTotal(0, slices=0, empty=0)


# ---------------------------------------------------------------- command line


def test_quality_of_a_scan(cases, capsys):
    scan = cases / "ct_scans" / "case_1.nii.gz"
    mask = cases / "infection_mask" / "case_1.nii.gz"
    assert main(["quality", str(scan), "--infection-mask", str(mask), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "8 of 8 slices with findings" in printed
    assert "Few pixels: 8 slices (1–8)" in printed
    assert "Gap: not defined, the file does not give the position of each slice" in printed
    assert "5 of 8 slices hold no infection (truth)" in printed
    assert main(["quality", str(scan), "--min-body-pixels", "16", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["checks"]["body_pixels"] == {
        "threshold": 16,
        "findings": 0,
        "not_defined": None,
    }
    assert figures["empty_by_truth"] is None


def test_quality_of_a_folder_has_a_row_for_each_case_and_totals(cases, capsys):
    predictions = cases.parent / f"{cases.name}_predicted"
    shutil.copytree(cases / "infection_mask", predictions / "case_2")
    (predictions / "case_2" / "case_1.nii.gz").rename(
        predictions / "case_2" / "infection_mask.nii.gz"
    )
    assert main(["quality", str(cases), "--predictions", str(predictions), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "5 of 8 slices of 1 case hold no infection by truth" in printed
    assert "5 of 8 slices of 1 case hold no infection by prediction" in printed
    assert main(["quality", str(cases), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [row["case_id"] for row in figures["cases"]] == ["case_1", "case_2", "case_3"]
    assert figures["empty"] == {"truth": {"cases": 1, "slices": 8, "empty": 5}}
    assert figures["cases"][2]["report"] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--max-noise", "2"], "Setting max_noise is out of range"),
        (["--min-body-pixels", "0"], "Setting min_body_pixels is out of range"),
    ],
)
def test_thresholds_out_of_range_are_reported(arguments, sentence, cases, capsys):
    scan = cases / "ct_scans" / "case_1.nii.gz"
    assert main(["quality", str(scan), *arguments]) == 1
    assert sentence in capsys.readouterr().err
