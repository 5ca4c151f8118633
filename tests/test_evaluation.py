"""Judging weights: which side a case is on, means over patients, tables; and publishing a run."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from core.config import PostprocessConfig
from core.errors import Cancelled, DatasetError, GeometryError
from core.evaluation.cases import (
    COLUMNS,
    CaseResult,
    bootstrap_intervals,
    evaluate_cases,
    load_prediction,
    mean_values,
    results_csv,
)
from core.evaluation.metrics import Overlap
from core.evaluation.surface_distance import SurfaceAgreement
from core.evaluation.training_side import Side, side_of_case, side_sentence
from core.loading.case_table import Case, load_case, load_case_table
from core.output.saving import save_mask
from core.segmentation.weights import (
    WeightsInfo,
    find_weights,
    list_weights,
    load_weights,
    read_manifest,
)
from core.training.cards import build_card
from core.training.publishing import publish
from core.training.runs import RunPaths, read_history, score
from core.training.scans import load_training_scans
from core.training.splits import split_by_patient
from core.volume import MaskPair, Study, to_file_order
from tests.eager import eager_keras
from tests.training_data import CASES, TINY
from tests.training_runs import training_folder, whole_run

NAN = math.nan
CONFIG = TINY


@pytest.fixture(scope="module")
def data() -> Path:
    return training_folder()


@pytest.fixture(scope="module")
def cases(data: Path) -> tuple[Case, ...]:
    return load_case_table(data / "covid20")


def info_with(split: dict[str, Any], tmp_path: Path) -> WeightsInfo:
    return WeightsInfo(
        weights_id="made",
        title="Made",
        folder=tmp_path,
        sha256="",
        model=TINY.model,
        preprocess=TINY.preprocess,
        postprocess=PostprocessConfig(),
        is_default=False,
        manifest_text=json.dumps({"split": split} if split else {}),
    )


def result(
    case_id: str, patient_id: str, infection_dice: float, *, side: Side = "unseen"
) -> CaseResult:
    return CaseResult(
        case_id=case_id,
        patient_id=patient_id,
        side=side,
        slices=3,
        lung=Overlap(0.9, 0.8, 0.7, 0.6, 0.5),
        infection=Overlap(infection_dice, NAN, NAN, NAN, NAN),
        lung_surfaces=SurfaceAgreement(1.5, 0.75),
        infection_surfaces=SurfaceAgreement(NAN, 0.0),
        infection_fraction_true=0.125,
        infection_fraction_pred=NAN,
    )


# ------------------------------------------------------------------ sides


def test_side_is_reported_by_patient(cases: tuple[Case, ...], tmp_path: Path) -> None:
    """A sibling scan that the split does not name stands where its patient stands."""
    info = info_with(
        {
            "train": {"patients": ["radiopaedia_10"], "case": [CASES[3]]},
            "validation": {"patients": ["coronacases_001"], "case": [CASES[0]]},
        },
        tmp_path,
    )
    sides = {case.case_id: side_of_case(case, info) for case in cases}
    assert sides == {
        CASES[0]: "validation",
        CASES[1]: "unseen",
        CASES[2]: "unseen",
        CASES[3]: "training",
        CASES[4]: "training",
        CASES[5]: "unseen",
    }


def test_without_a_split_nothing_was_seen(cases: tuple[Case, ...], tmp_path: Path) -> None:
    assert side_of_case(cases[0], None) == "unseen"
    assert side_of_case(cases[0], info_with({}, tmp_path)) == "unseen"


@pytest.mark.parametrize(
    "split",
    [None, [], 3, {"train": None}, {"train": {"patients": None}}, {"validation": []}],
)
def test_a_split_made_by_hand_breaks_nothing(
    cases: tuple[Case, ...], tmp_path: Path, split: Any
) -> None:
    info = replace(info_with({}, tmp_path), manifest_text=json.dumps({"split": split}))
    assert side_of_case(cases[0], info) == "unseen"


def test_training_cases_come_with_the_dice_of_a_network_not_trained_on_them(
    cases: tuple[Case, ...], tmp_path: Path
) -> None:
    split = {"train": {"patients": [cases[0].patient_id]}}
    row = {"scan_id": CASES[0], "lung_dice": 0.98, "infection_dice": None}
    info = replace(
        info_with({}, tmp_path),
        manifest_text=json.dumps({"split": split, "cross_validation": {"scans": [row]}}),
    )
    assert side_sentence(cases[0], info).endswith(
        "A network trained without this patient reached a Dice of 0.980 for lung."
    )
    assert "trained without" not in side_sentence(cases[1], info)
    by_case = {"cases": [{"case_id": CASES[0], "lung_dice": 0.9, "infection_dice": 0.8}]}
    info = replace(info, manifest_text=json.dumps({"split": split, "cross_validation": by_case}))
    assert side_sentence(cases[0], info).endswith("0.900 for lung and 0.800 for infection.")
    info = replace(info, manifest_text=json.dumps({"split": split, "cross_validation": [1]}))
    assert side_sentence(cases[0], info).endswith("say nothing about new scans.")


# ------------------------------------------------------------------ comparing


def test_truth_against_itself_and_against_nothing(cases: tuple[Case, ...]) -> None:
    progress: list[tuple[int, int]] = []

    def predict(case: Case, study: Study) -> MaskPair:
        assert study.truth is not None
        if case.case_id == CASES[0]:
            return study.truth
        none = np.zeros(study.volume.shape, dtype=bool)
        return MaskPair(study.truth.lung, none)

    results = evaluate_cases(
        cases[:2], predict, on_progress=lambda _, done, total: progress.append((done, total))
    )
    assert [r.case_id for r in results] == list(CASES[:2])
    assert results[0].infection == Overlap(1.0, 1.0, 1.0, 1.0, 1.0)
    assert results[0].infection_surfaces == SurfaceAgreement(0.0, 1.0)
    assert results[0].infection_fraction_error == 0.0
    assert results[0].infection_fraction_pred == results[0].infection_fraction_true > 0
    assert results[1].lung.dice == 1.0
    assert (results[1].infection.dice, results[1].infection.recall) == (0.0, 0.0)
    assert math.isnan(results[1].infection.precision)
    assert results[1].infection_fraction_pred == 0.0
    assert results[1].infection_fraction_error == -results[1].infection_fraction_true
    assert results[1].infection_surfaces.surface_dice == 0.0
    assert math.isnan(results[1].infection_surfaces.hd95_mm)
    assert results[0].slices == 4
    assert progress == [(0, 2), (1, 2), (2, 2)]


def test_a_window_gives_the_hu_of_grey_cases(cases: tuple[Case, ...], tmp_path: Path) -> None:
    hu = load_case(cases[0]).volume
    grey = (np.clip(hu.array, -1000, 400).astype(np.float32) + 1000) / 1400
    path = tmp_path / cases[0].scan_path.name
    nib.save(nib.Nifti1Image(to_file_order(grey, hu.source), hu.source.file_affine), path)
    seen: list[float] = []

    def predict(case: Case, study: Study) -> MaskPair:
        seen.append(float(np.abs(study.volume.hu(grey) - np.clip(hu.array, -1000, 400)).max()))
        return MaskPair(None, None)

    evaluate_cases([replace(cases[0], scan_path=path)], predict, window=(-1000.0, 400.0))
    assert max(seen) < 0.01


def test_channel_that_was_not_predicted_is_undefined(cases: tuple[Case, ...]) -> None:
    def predict(case: Case, study: Study) -> MaskPair:
        assert study.truth is not None
        return MaskPair(study.truth.lung, None)

    (found,) = evaluate_cases(cases[:1], predict)
    assert found.lung.dice == 1.0
    assert math.isnan(found.infection.dice)
    assert math.isnan(found.infection_fraction_pred)


def test_case_without_truth_is_refused(cases: tuple[Case, ...]) -> None:
    bare = Case("alone", "alone", cases[0].scan_path)
    with pytest.raises(DatasetError, match="Case alone has no truth"):
        evaluate_cases([bare], lambda case, study: MaskPair(None, None))


# ------------------------------------------------------------------ means and tables


def test_two_scans_of_one_patient_weigh_as_one() -> None:
    means = mean_values([result("a1", "a", 0.2), result("a2", "a", 0.4), result("b", "b", 0.9)])
    assert means["infection_dice"] == pytest.approx((0.3 + 0.9) / 2)
    assert means["lung_dice"] == pytest.approx(0.9)
    assert math.isnan(means["infection_iou"])


def test_undefined_values_are_left_out_of_the_mean() -> None:
    means = mean_values([result("a1", "a", NAN), result("a2", "a", 0.4), result("b", "b", NAN)])
    assert means["infection_dice"] == pytest.approx(0.4)
    assert all(math.isnan(value) for value in mean_values([]).values())


def test_intervals_are_over_patients() -> None:
    scores = (0.5, 0.6, 0.7, 0.9)
    results = [result(f"{n}", f"{n}", score) for n, score in enumerate(scores)]
    low, high = bootstrap_intervals(results, seed=1)["infection_dice"]
    assert min(scores) <= low < np.mean(scores) < high <= max(scores)
    # Scans of one patient are no further evidence.
    doubled = [*results, *(result(f"{n}b", f"{n}", score) for n, score in enumerate(scores))]
    assert bootstrap_intervals(doubled, seed=1)["infection_dice"] == (low, high)
    # What is the same in every patient has no spread; what few have has no interval.
    assert bootstrap_intervals(results, seed=1)["lung_dice"] == pytest.approx((0.9, 0.9))
    assert all(math.isnan(end) for end in bootstrap_intervals(results, seed=1)["infection_iou"])
    assert math.isnan(bootstrap_intervals(results[:2], seed=1)["infection_dice"][0])
    assert all(math.isnan(low) for low, _ in bootstrap_intervals([], seed=1).values())


def test_csv_can_be_read_back() -> None:
    text = results_csv([result("a,1", "a", 0.25, side="training"), result("b", "b", NAN)])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == COLUMNS == tuple(result("a", "a", 0.1).to_row())
    assert (rows[0]["case_id"], rows[0]["side"], rows[0]["slices"]) == ("a,1", "training", "3")
    assert float(rows[0]["infection_dice"]) == 0.25
    assert rows[1]["infection_dice"] == ""
    assert rows[1]["infection_fraction_pred"] == ""
    assert "nan" not in text


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", "\ta"])
def test_csv_holds_no_formula(name: str) -> None:
    (row,) = csv.DictReader(io.StringIO(results_csv([result(name, name, 0.5)])))
    assert (row["case_id"], row["patient_id"]) == (f"'{name}", f"'{name}")
    assert float(row["infection_dice"]) == 0.5


def test_csv_of_no_case_is_a_header() -> None:
    assert results_csv([]) == ",".join(COLUMNS) + "\n"


# ------------------------------------------------------------------ predictions from files


def test_saved_predictions_are_found(cases: tuple[Case, ...], tmp_path: Path) -> None:
    study = load_case(cases[3])
    assert study.truth is not None
    assert study.truth.lung is not None
    assert study.truth.infection is not None
    below = tmp_path / cases[3].case_id
    save_mask(study.truth.lung, study.volume, below / "lung_mask.nii.gz")
    only_lung = load_prediction(tmp_path, cases[3], study)
    assert only_lung.infection is None
    save_mask(study.truth.infection, study.volume, below / "infection_mask.nii.gz")
    both = load_prediction(tmp_path, cases[3], study)
    assert np.array_equal(both.lung, study.truth.lung)
    assert np.array_equal(both.infection, study.truth.infection)


def test_missing_prediction_is_reported(cases: tuple[Case, ...], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"No prediction for case {CASES[0]}"):
        load_prediction(tmp_path, cases[0], load_case(cases[0]))


def test_prediction_of_another_scan_is_refused(cases: tuple[Case, ...], tmp_path: Path) -> None:
    study = load_case(cases[0])
    assert study.truth is not None
    assert study.truth.lung is not None
    path = tmp_path / cases[0].case_id / "lung_mask.nii.gz"
    save_mask(study.truth.lung, study.volume, path)
    moved = np.array(study.volume.source.file_affine)
    moved[0, 3] += 30

    import nibabel as nib

    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), moved), path)
    with pytest.raises(GeometryError, match="lies elsewhere in the patient"):
        load_prediction(tmp_path, cases[0], study)


# ------------------------------------------------------------------ publishing


@pytest.fixture(scope="module")
def run() -> RunPaths:
    return whole_run()


@pytest.fixture(scope="module")
def published(data: Path, run: RunPaths, tmp_path_factory: pytest.TempPathFactory) -> WeightsInfo:
    with eager_keras():
        return publish(data, run, tmp_path_factory.mktemp("weights") / "tiny", CONFIG)


def test_published_weights_can_be_found_and_loaded(published: WeightsInfo) -> None:
    folder = published.folder.parent
    assert [info.weights_id for info in list_weights(folder)] == ["tiny"]
    assert find_weights(folder=folder) == published
    assert published.is_default
    model = load_weights(published)
    assert model.output_shape == (None, 32, 48, 2)
    assert not list(published.folder.glob("*.part"))


def test_manifest_names_the_training_data(
    data: Path, run: RunPaths, published: WeightsInfo
) -> None:
    manifest = published.manifest
    drawn = split_by_patient(
        load_training_scans(data, CONFIG.preprocess),
        validation_fraction=CONFIG.validation_fraction,
        seed=CONFIG.seed,
    )
    assert manifest["split"] == drawn.to_json_dict()
    validation = manifest["validation"]
    validated = {row["case_id"] for row in validation["cases"]}
    assert validated == set(manifest["split"]["validation"]["case"])
    assert {row["side"] for row in validation["cases"]} == {"validation"}
    assert validation["patients"] == len(manifest["split"]["validation"]["patients"])
    assert manifest["training"]["best_epoch"] == max(read_history(run.history), key=score)["epoch"]
    # Strict JSON: undefined figures are null, never NaN.
    json.dumps(manifest, allow_nan=False)


@pytest.mark.usefixtures("eager")
def test_a_publication_that_is_stopped_leaves_nothing(
    data: Path, run: RunPaths, tmp_path: Path
) -> None:
    def stop(stage: str, *_: int) -> None:
        if stage == "comparing cases":
            raise Cancelled("publishing")

    with pytest.raises(Cancelled):
        publish(data, run, tmp_path / "weights" / "tiny", CONFIG, on_progress=stop)
    assert list((tmp_path / "weights").iterdir()) == []


def test_a_card_names_the_source_of_its_cases(published: WeightsInfo) -> None:
    def card_of(trained: str, validated: str) -> str:
        manifest = json.loads(published.manifest_text)
        manifest["split"]["train"].update(case=[trained], picture=[], negative=[])
        manifest["split"]["validation"].update(
            case=[validated], picture=[], negative=[], healthy=[]
        )
        return build_card(replace(published, manifest_text=json.dumps(manifest)))

    generated = card_of("generated_1", "generated_2")
    assert "1 scan of" in generated
    assert "are meaningless on scans of people" in generated
    for word in ("Zenodo", "MedSeg", "LUNA", "20-case", "healthy chest"):
        assert word not in generated
        assert word in published.card_path.read_text(encoding="utf-8")
    own = card_of("generated_1", "ward_7")
    assert "a folder of the person who trained it" in own
    assert "Zenodo" not in own


def test_card_is_whole(published: WeightsInfo) -> None:
    card = published.card_path.read_text(encoding="utf-8")
    assert "never a diagnosis" in card
    assert "batch normalisation" in card
    for row in published.manifest["validation"]["cases"]:
        assert row["case_id"] in card
    assert "nan" not in card
    assert "None" not in card
    assert "{" not in card


def test_card_names_the_network_loss_and_schedule_that_were_used(published: WeightsInfo) -> None:
    manifest = published.manifest
    manifest["training"]["loss"] = {"kind": "focal_tversky", "alpha": 0.3, "gamma": 2.0}
    manifest["training"]["schedule"]["kind"] = "cosine_restarts"
    manifest["model"]["architecture"] = "unetpp"
    manifest["postprocess"]["neighbour_share"] = 0.0
    folder = published.folder.parent / "plus"
    folder.mkdir()
    manifest["weights_id"] = folder.name
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    card = " ".join(build_card(read_manifest(folder)).split())
    assert "a 2D U-Net++ (Zhou et al. 2018) with" in card
    assert "focal Tversky loss (weight 0.3 of false positive pixels, exponent 1/2)" in card
    assert "with AdamW and cosine decay with restarts" in card
    assert "slices before and after" not in card
    shutil.rmtree(folder)  # the other tests publish beside it


@pytest.mark.usefixtures("eager")
def test_second_weights_do_not_push_the_first_aside(
    data: Path, run: RunPaths, published: WeightsInfo
) -> None:
    second = publish(data, run, published.folder.parent / "another", CONFIG)
    assert not second.is_default
    assert find_weights(folder=published.folder.parent).weights_id == "tiny"
    # The first, published again, stays the default.
    assert publish(data, run, published.folder, CONFIG).is_default
    assert read_manifest(published.folder).sha256 == published.sha256


@pytest.mark.usefixtures("eager")
def test_card_without_extras_holds_no_nan(data: Path, run: RunPaths, tmp_path: Path) -> None:
    """Validated on cases alone: no pictures, no infection-free slices, no healthy chest."""
    info = publish(data / "covid20", run, tmp_path / "weights" / "plain", CONFIG)
    json.dumps(info.manifest, allow_nan=False)
    assert info.manifest["validation"]["pictures_infection_dice"] is None
    card = info.card_path.read_text(encoding="utf-8")
    assert "nan" not in card
    assert "None" not in card
    for word in ("| check |", "MedSeg COVID-19", "LIDC", "healthy chest"):
        assert word not in card
