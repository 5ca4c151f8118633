"""The path from a scan to masks, with the trained weights of the repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from core.config import PostprocessConfig, SegmentConfig
from core.errors import Cancelled
from core.evaluation.measurements import compare, measure
from core.evaluation.metrics import compute_overlap
from core.loading import load_nifti, load_pictures, open_study
from core.output.saving import save_mask, save_volume
from core.preprocessing.spatial import turn_volume
from core.segmentation.engines import Prediction
from core.segmentation.engines.inference import Segmenter
from core.segmentation.pipeline import segment_volume, segment_volumes
from core.segmentation.result import apply_thresholds
from core.segmentation.segmenter import load_segmenter
from core.segmentation.turning import find_quarter_turns
from core.volume import MaskPair, Study, Volume, volume_from_file
from tests.studies import StandInSegmenter, demo_study


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return load_segmenter()


@pytest.fixture(scope="module")
def chest() -> Study:
    """The demo study at a quarter of its size."""
    return demo_study((256, 256, 24))


def test_weights_are_loaded_once(segmenter: Segmenter) -> None:
    assert load_segmenter() is segmenter


def test_finds_lungs_and_infection_of_a_study_it_was_not_trained_on(
    segmenter: Segmenter, chest: Study
) -> None:
    result = segment_volume(chest.volume, segmenter)
    assert chest.truth is not None
    overlap = compare(chest.truth, result.masks)
    assert overlap["lung"]["dice"] >= 0.95
    assert overlap["infection"]["recall"] >= 0.5


@pytest.mark.parametrize("codes", ["LAS", "RAS", "LPI", "PSR", "SAL"])
def test_any_file_orientation_gives_the_same_masks(
    segmenter: Segmenter, chest: Study, tmp_path: Path, codes: str
) -> None:
    volume = chest.volume
    small = volume_from_file(
        np.asfortranarray(volume.array[:, :, 8:12]),
        volume.affine,
        intensity=volume.intensity,
        name="part",
        format="nifti",
    )
    expected = segment_volume(small, segmenter).masks
    save_volume(small, tmp_path / "part.nii.gz")
    image = nib.load(tmp_path / "part.nii.gz")
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes)
    )
    turned_image = image.as_reoriented(turn)
    nib.save(turned_image, tmp_path / "turned.nii.gz")

    loaded = load_nifti(tmp_path / "turned.nii.gz")
    masks = segment_volume(loaded, segmenter).masks
    np.testing.assert_array_equal(masks.lung, expected.lung)
    np.testing.assert_array_equal(masks.infection, expected.infection)

    assert masks.lung is not None
    save_mask(masks.lung, loaded, tmp_path / "lung.nii.gz")
    saved = nib.load(tmp_path / "lung.nii.gz")
    assert saved.shape == turned_image.shape
    np.testing.assert_allclose(saved.affine, turned_image.affine, atol=1e-5)
    # The mask lies where the air of the lungs lies, voxel by voxel of the file itself.
    values = np.asarray(turned_image.dataobj)[np.asarray(saved.dataobj) > 0]
    assert np.median(values) < -500


def test_thresholds_move_without_another_run(segmenter: Segmenter, chest: Study) -> None:
    first = segment_volume(chest.volume, segmenter)
    used = first.config.postprocess
    bold = apply_thresholds(first, replace(used, infection_threshold=0.1))
    strict = apply_thresholds(first, replace(used, infection_threshold=0.9))
    assert first.masks.infection is not None
    assert bold.masks.infection is not None
    assert strict.masks.infection is not None
    assert bold.masks.infection.sum() > first.masks.infection.sum() > strict.masks.infection.sum()
    assert not (strict.masks.infection & ~bold.masks.infection).any()
    np.testing.assert_array_equal(bold.masks.lung, first.masks.lung)
    again = apply_thresholds(bold, first.config.postprocess)
    np.testing.assert_array_equal(again.masks.infection, first.masks.infection)


def test_infection_lies_inside_the_lung(segmenter: Segmenter, chest: Study) -> None:
    masks = segment_volume(chest.volume, segmenter).masks
    assert masks.lung is not None
    assert masks.infection is not None
    assert not (masks.infection & ~masks.lung).any()


def test_cancel_stops_between_batches(segmenter: Segmenter, chest: Study) -> None:
    stages: list[str] = []

    def on_progress(stage: str, done: int, total: int) -> None:
        stages.append(stage)

    with pytest.raises(Cancelled, match="Stopped on request"):
        segment_volume(
            chest.volume,
            segmenter,
            on_progress=on_progress,
            should_cancel=lambda: "marking slices" in stages,
        )
    assert stages.count("marking slices") == 1


def test_progress_reaches_its_total_in_every_stage(segmenter: Segmenter, chest: Study) -> None:
    last: dict[str, tuple[int, int]] = {}

    def on_progress(stage: str, done: int, total: int) -> None:
        assert done >= last.get(stage, (0, 0))[0]
        last[stage] = (done, total)

    segment_volume(chest.volume, segmenter, on_progress=on_progress)
    assert set(last) == {"preparing slices", "marking slices", "restoring masks"}
    assert all(done == total == 24 for done, total in last.values())


def test_measurements_are_complete_and_undefined_ones_null(
    segmenter: Segmenter, chest: Study
) -> None:
    result = segment_volume(chest.volume, segmenter)
    figures = measure(chest, result)
    assert figures["synthetic"] is True
    assert figures["lung_voxels"] == int(np.count_nonzero(result.masks.lung))
    assert figures["lung_volume_ml"] == pytest.approx(
        figures["lung_voxels"] * chest.volume.voxel_volume_ml
    )
    assert set(figures["metrics"]) == {"lung", "infection"}
    assert set(figures["seconds"]) == {"preprocess", "predict", "postprocess", "restore"}

    biomarkers = figures["biomarkers"]
    assert biomarkers["values"]["lung_volume_ml"] == pytest.approx(figures["lung_volume_ml"])
    assert biomarkers["values"]["infected_share"] == pytest.approx(figures["infection_fraction"])
    assert set(biomarkers["figures"]) == set(biomarkers["values"])

    nothing = np.zeros(chest.volume.shape, dtype=np.bool_)
    empty = measure(Study(chest.volume, truth=MaskPair(None, nothing)), result)
    assert set(empty["metrics"]) == {"infection"}
    assert empty["metrics"]["infection"]["recall"] is None


def test_a_constant_chest_has_no_lung_and_says_so(segmenter: Segmenter, chest: Study) -> None:
    water = volume_from_file(
        np.zeros((64, 64, 3), dtype=np.int16),
        np.diag([-2.0, -2.0, 5.0, 1.0]),
        intensity=chest.volume.intensity,
        name="water",
        format="nifti",
    )
    result = segment_volume(water, segmenter)
    assert measure(Study(water), result)["infection_fraction"] is None
    assert any("No lung was found" in warning for warning in result.warnings)


def _as_pictures(volume: Volume, folder: Path) -> Volume:
    from PIL import Image

    grey = np.clip((volume.array[:, :, 10].T + 1250.0) / 1500.0 * 255.0, 0, 255).astype(np.uint8)
    Image.fromarray(grey[20:230]).save(folder / "slice.png")
    return load_pictures([folder / "slice.png"])


def test_pictures_on_their_side_are_turned_and_masks_turned_back(
    segmenter: Segmenter, chest: Study, tmp_path: Path
) -> None:
    upright = _as_pictures(chest.volume, tmp_path)
    expected = segment_volume(upright, segmenter)
    assert expected.record.quarter_turns == 0
    assert expected.masks.lung is not None
    for turns in (1, 2, 3):
        lying = turn_volume(upright, turns)
        assert find_quarter_turns([lying], segmenter) == ((4 - turns) % 4,)
        result = segment_volume(lying, segmenter)
        assert result.masks.lung is not None
        back = np.rot90(result.masks.lung, -turns, axes=(0, 1))
        np.testing.assert_array_equal(back, expected.masks.lung)
        assert any("turned by" in warning for warning in result.warnings)
        again = apply_thresholds(result, PostprocessConfig(lung_threshold=0.4))
        moved = apply_thresholds(expected, PostprocessConfig(lung_threshold=0.4))
        assert again.masks.lung is not None
        np.testing.assert_array_equal(
            np.rot90(again.masks.lung, -turns, axes=(0, 1)), moved.masks.lung
        )


def test_many_pictures_are_marked_as_each_alone(
    segmenter: Segmenter, chest: Study, tmp_path: Path
) -> None:
    upright = _as_pictures(chest.volume, tmp_path)
    black = replace(upright, array=np.zeros_like(upright.array))
    volumes = [upright, turn_volume(upright, 1), black]
    together = segment_volumes(volumes, segmenter)
    assert [found.record.quarter_turns for found in together] == [0, 3, 0]
    for volume, found in zip(volumes, together, strict=True):
        alone = segment_volume(volume, segmenter)
        assert found.masks.lung is not None
        assert found.masks.lung.shape == volume.shape
        np.testing.assert_array_equal(found.masks.lung, alone.masks.lung)
        np.testing.assert_array_equal(found.masks.infection, alone.masks.infection)
        assert found.warnings == alone.warnings
    assert [len(found.warnings) for found in together] == [0, 1, 1]
    assert segment_volumes([], segmenter) == ()


class _CountingSegmenter(StandInSegmenter):
    def __init__(self) -> None:
        super().__init__()
        self.slices: list[int] = []

    def predict(self, frames: npt.NDArray[np.uint8], **how: Any) -> Prediction:
        self.slices.append(len(frames))
        return super().predict(frames, **how)


def test_many_pictures_need_two_calls_of_the_engine(chest: Study, tmp_path: Path) -> None:
    picture = _as_pictures(chest.volume, tmp_path)
    engine = _CountingSegmenter()
    told: list[tuple[str, int, int]] = []
    segment_volumes([picture] * 20, engine, on_progress=lambda *step: told.append(step))
    assert engine.slices == [4 * 20, 20]
    for stage in ("preparing slices", "restoring masks"):
        done = [count for name, count, total in told if name == stage and total == 20]
        assert done == list(range(1, 21))
    engine.slices.clear()
    segment_volume(picture, engine, config=SegmentConfig(turn_pictures=False))
    assert engine.slices == [1]
    engine.slices.clear()
    segment_volume(chest.volume, engine)
    assert engine.slices == [24]


class _SegmenterWithSliceHead(StandInSegmenter):
    """Sure of lung from slice 12 on, and of infection in slice 13 alone, counted from 0."""

    def predict(self, frames: npt.NDArray[np.uint8], **how: Any) -> Prediction:
        presence = np.zeros((2, len(frames)), dtype=np.uint8)
        presence[0, 12:] = 255
        presence[1, 13] = 255
        return replace(super().predict(frames, **how), presence=presence)


def test_what_the_slice_head_sees_decides_which_slices_hold_masks(chest: Study) -> None:
    engine = _SegmenterWithSliceHead()
    blind = segment_volume(chest.volume, engine, config=SegmentConfig())
    config = PostprocessConfig(min_lung_presence=0.5, min_infection_presence=0.5)
    result = segment_volume(chest.volume, engine, config=SegmentConfig(postprocess=config))
    before, after = (_held(one.masks.lung) for one in (blind, result))
    assert {11, 12, 13} <= before
    assert after == {k for k in before if k >= 12}
    assert len(_held(blind.masks.infection)) > 1
    assert _held(result.masks.infection) == {13}
    np.testing.assert_array_equal(np.flatnonzero(result.slices_with("infection")), [13])
    assert segment_volume(chest.volume, StandInSegmenter()).slices_with("lung") is None


def _held(mask: npt.NDArray[np.bool_]) -> set[int]:
    return set(np.flatnonzero(mask.any(axis=(0, 1))).tolist())


def test_why_keras_ran_is_a_warning_of_the_result(chest: Study) -> None:
    engine = StandInSegmenter()
    engine.fallback_reason = "Keras ran the network. OpenVINO does not start."
    result = segment_volume(chest.volume, engine)
    assert engine.fallback_reason in result.warnings
    moved = apply_thresholds(result, PostprocessConfig(lung_threshold=0.3))
    assert engine.fallback_reason in moved.warnings
    assert engine.fallback_reason in measure(Study(chest.volume), result)["warnings"]


@pytest.mark.real_data
def test_a_validation_patient_is_marked_well(segmenter: Segmenter, real_data: Path) -> None:
    """Floor for `coronacases_org_007`, which the weights were chosen on but never learned from."""
    from core.loading import load_case, load_case_table

    cases = {case.case_id: case for case in load_case_table(real_data / "covid20")}
    study = load_case(cases["coronacases_org_007"])
    assert study.truth is not None
    overlap = compare(study.truth, segment_volume(study.volume, segmenter).masks)
    assert overlap["lung"]["dice"] >= 0.97
    assert overlap["infection"]["dice"] >= 0.65


@pytest.mark.real_data
def test_a_healthy_chest_is_hardly_marked(segmenter: Segmenter, real_data: Path) -> None:
    study = open_study(real_data / "covid_ct_md" / "normal001.nii.gz")
    figures = measure(study, segment_volume(study.volume, segmenter))
    assert figures["infection_fraction"] <= 0.005


@pytest.mark.real_data
def test_dicom_and_its_nifti_copy_get_the_same_masks(
    segmenter: Segmenter, real_data: Path, tmp_path: Path
) -> None:
    dicom = open_study(real_data / "covid_ct_md" / "P001_dicom").volume
    copy = load_nifti(save_volume(dicom, tmp_path / "copy.nii.gz"))
    from_dicom = segment_volume(dicom, segmenter).masks
    from_copy = segment_volume(copy, segmenter).masks
    assert from_dicom.lung is not None
    assert from_copy.lung is not None
    assert compute_overlap(from_dicom.lung, from_copy.lung).dice == 1.0
