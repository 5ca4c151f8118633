"""Cross-validation: every patient is validated once, by a network not trained on it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.config import ModelConfig, PublishConfig
from core.errors import DatasetError
from core.evaluation.cases import CaseResult
from core.measuring.quality.exclusions import Exclusion, exclusions_record
from core.segmentation.manifests import CARD_NAME
from core.segmentation.weights import load_weights
from core.training.crossval import cross_validate
from core.training.crossval_results import CrossValidation
from core.training.fit import load_published_model
from core.training.publishing import publish_ensemble
from core.training.runs import RunPaths, read_history
from core.training.scans import load_training_scans
from core.training.splits import split_folds
from tests.eager import eager_keras
from tests.training_data import CASES, TINY, UNCHANGED
from tests.training_runs import training_folder

CONFIG = replace(
    TINY, epochs=1, augment=UNCHANGED, model=ModelConfig(depth=1, width=2, normalization="none")
)


@pytest.fixture(scope="module")
def data() -> Path:
    return training_folder()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folds")


@pytest.fixture(scope="module", autouse=True)
def _eager() -> Iterator[None]:
    with eager_keras():
        yield


@pytest.fixture(scope="module")
def found(data: Path, folder: Path) -> CrossValidation:
    return cross_validate(data, folder, CONFIG, folds=2)


def test_every_patient_is_validated_once_and_trained_on_in_all_other_folds(data: Path) -> None:
    scans = load_training_scans(data, TINY.preprocess)
    splits = split_folds(scans, folds=2, seed=3)
    for split in splits:
        assert not {s.patient_id for s in split.train} & {s.patient_id for s in split.validation}
        assert len(split.train) + len(split.validation) == len(scans)
    validated = [s.scan_id for split in splits for s in split.validation if s.role != "healthy"]
    assert sorted(validated) == sorted(s.scan_id for s in scans if s.role != "healthy")
    sizes = [len({s.patient_id for s in split.validation}) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    assert split_folds(scans, folds=2, seed=3)[0].to_json_dict() == splits[0].to_json_dict()


def test_too_many_folds_are_refused(data: Path) -> None:
    scans = [s for s in load_training_scans(data, TINY.preprocess) if s.role == "case"]
    with pytest.raises(DatasetError, match="cannot be split"):
        split_folds(scans, folds=len(scans) + 1, seed=3)


def test_every_case_has_a_result_of_the_fold_that_held_it_out(
    found: CrossValidation, folder: Path
) -> None:
    assert sorted(result.case_id for result in found.results) == sorted(CASES)
    for number in (1, 2):
        record = json.loads(RunPaths(folder / f"fold-{number}").config.read_text(encoding="utf-8"))
        validated = set(record["split"]["validation"]["case"])
        manifest = json.loads((folder / f"weights-{number}" / "manifest.json").read_text("utf-8"))
        assert {row["case_id"] for row in manifest["validation"]["cases"]} == validated
    assert all(0 <= result.lung.dice <= 1 for result in found.results)
    assert 0 <= found.picture_infection_dice <= 1
    assert len(found.negative_shares) == len(found.healthy_shares) == 2


def test_a_finished_fold_is_not_trained_again(
    found: CrossValidation, data: Path, folder: Path
) -> None:
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    again = cross_validate(data, folder, CONFIG, folds=2)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()} == before
    assert len(read_history(RunPaths(folder / "fold-1").history)) == 1
    for one, other in zip(found.results, again.results, strict=True):
        for a, b in zip(one.to_row().values(), other.to_row().values(), strict=True):
            assert a == b or (math.isnan(a) and math.isnan(b))


def test_rows_keep_what_is_undefined(found: CrossValidation) -> None:
    row = found.results[0].to_row() | {"infection_dice": None, "lung_hd95_mm": None}
    result = CaseResult.from_row(row)
    assert math.isnan(result.infection.dice)
    assert math.isnan(result.lung_surfaces.hd95_mm)
    assert result.lung.recall == found.results[0].lung.recall


def test_later_folds_start_from_earlier_ones_and_are_published_as_one(
    found: CrossValidation, data: Path, folder: Path, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    published = PublishConfig(smooth_sigma=0.0, infection_threshold=0.5, initial_share=0.5)
    config = replace(CONFIG, epochs=3, seed=11, published=published)
    left_out = next(
        scan.scan_id
        for scan in load_training_scans(data, TINY.preprocess)
        if scan.role == "negative"
    )
    excluded = (Exclusion(left_out, None),)
    again = cross_validate(
        data, later, config, folds=2, excluded=excluded, initial=folder, stop_after=1
    )
    runs = [RunPaths(later / f"fold-{number}") for number in (1, 2)]
    for number, run in enumerate(runs, start=1):
        record = json.loads(run.config.read_text(encoding="utf-8"))
        earlier = json.loads(RunPaths(folder / f"fold-{number}").config.read_text(encoding="utf-8"))
        for side in ("train", "validation"):
            before = earlier["split"][side]
            before["negative"] = [name for name in before["negative"] if name != left_out]
            assert record["split"][side] == before
        assert record["excluded"] == exclusions_record(excluded)
        assert len(read_history(run.history)) == 1
    with pytest.raises(DatasetError, match=r"missing best\.keras"):
        publish_ensemble(data, later, tmp_path / "both", config, again, folds=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["later"]
    info = publish_ensemble(
        data, later, tmp_path / "both", config, again, folds=2, excluded=excluded
    )
    assert info.model.members == 2
    shape = (2, TINY.preprocess.rows, TINY.preprocess.columns, 1)
    x = np.random.default_rng(0).random(shape).astype(np.float32)
    singly = [load_published_model(run, initial_share=0.5).predict_on_batch(x) for run in runs]
    # Kernels are stored in half precision.
    together = load_weights(info).predict_on_batch(x)
    assert np.abs(together - np.mean(singly, axis=0)).max() < 5e-3
    manifest = info.manifest
    assert sorted(manifest["split"]["train"]["case"]) == sorted(CASES)
    assert left_out not in manifest["split"]["train"]["negative"]
    assert manifest["excluded"] == exclusions_record(excluded)
    assert {row["case_id"] for row in manifest["cross_validation"]["cases"]} == set(CASES)
    assert [member["epochs_done"] for member in manifest["training"]["members"]] == [1, 1]
    card = (info.folder / CARD_NAME).read_text(encoding="utf-8")
    assert "the one member that was not trained on its patient" in card
    assert "1, 1 of 3 epochs" in card
    assert "kept 1 scans, pictures or slices" in card
