"""Noise as the network sees it: measured, and a warning above a limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from core.config import PreprocessConfig
from core.preprocessing import build_model_input, plan_spatial
from core.preprocessing.roi import find_body_box
from core.segmentation import segment_volume
from core.segmentation.engines import Prediction
from core.segmentation.noise import LIMIT_HU, measure_noise
from core.segmentation.postprocess import Probabilities
from core.volume import Volume
from tests.scans import chest_hu
from tests.studies import StandInSegmenter, small_volume

CONFIG = PreprocessConfig()
SHAPE = (160, 128, 6)


def chest(noise_hu: float, *, grey: bool = False) -> Volume:
    """A chest whose own noise is 15 HU, with more."""
    rng = np.random.default_rng(3)
    array = chest_hu(SHAPE) + rng.normal(0, noise_hu, SHAPE)
    small = small_volume(grey=grey)
    if grey:
        array = np.clip((array + 1250.0) / 1500 * 255, 0, 255)
    adult = small.affine.copy()
    adult[:3, :2] *= 2.1 / small.spacing_mm[0]
    return replace(small, array=np.asfortranarray(array.astype(small.array.dtype)), affine=adult)


def frames_of(volume: Volume) -> Probabilities:
    record = plan_spatial(volume, CONFIG)
    return build_model_input(volume, record, CONFIG, range(volume.shape[2]))


def test_more_noise_measures_more() -> None:
    found = [measure_noise(frames_of(chest(hu)), CONFIG) for hu in (0, 60, 120)]
    assert found[0] < LIMIT_HU / 2
    assert found == sorted(found)
    assert found[2] > LIMIT_HU


@pytest.mark.parametrize(
    ("alike", "within"),
    [(0.0, 0.1), (0.8, 0.1), (1.2, 0.15), (2.0, 0.3)],
    ids=["white", "alike", "more alike", "smooth"],
)
@pytest.mark.parametrize("sigma_hu", [30.0, 80.0])
def test_noise_is_measured_correctly_whether_neighbours_are_alike_or_not(
    sigma_hu: float, alike: float, within: float
) -> None:
    noise = np.random.default_rng(8).normal(0, 1, (6, 160, 160))
    noise = ndimage.gaussian_filter(noise, (0, alike, alike))
    hu = 20 + sigma_hu * noise / noise.std()
    low = CONFIG.window_center - CONFIG.window_width / 2
    frames = np.clip((hu - low) / CONFIG.window_width * 255, 0, 255).astype(np.uint8)
    assert measure_noise(frames, CONFIG) == pytest.approx(sigma_hu, rel=within)


def test_what_shows_no_tissue_has_no_noise() -> None:
    assert np.isnan(measure_noise(np.zeros((3, 64, 64), dtype=np.uint8), CONFIG))


class _Seeing(StandInSegmenter):
    """Keeps the frames that it was given."""

    def predict(self, frames: Probabilities, **how: object) -> Prediction:
        self.seen = frames.copy()
        return super().predict(frames, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(("noise_hu", "is_noisy"), [(0.0, False), (150.0, True)])
def test_measurements_of_a_noisy_scan_are_doubtful(noise_hu: float, is_noisy: bool) -> None:
    engine, volume = _Seeing(), chest(noise_hu)
    result = segment_volume(volume, engine)
    assert result.scan is not None
    assert (result.scan.noise_hu > LIMIT_HU) is is_noisy
    record = plan_spatial(volume, engine.preprocess)
    expected = build_model_input(volume, record, engine.preprocess, range(volume.shape[2]))
    np.testing.assert_array_equal(engine.seen, expected)
    told = [warning for warning in result.warnings if "noisy" in warning]
    assert len(told) == is_noisy
    assert told == [doubt for doubt in result.doubts if "noisy" in doubt]
    assert all("HU on the network's grid" in warning for warning in told)


def test_a_scan_of_doubtful_orientation_is_doubtful() -> None:
    volume = chest(0)
    doubted = replace(volume, source=replace(volume.source, seems_turned=True))
    (doubt,) = segment_volume(doubted, _Seeing()).doubts
    assert "its slices may not be axial" in doubt
    assert segment_volume(volume, _Seeing()).doubts == ()


@pytest.mark.parametrize(
    ("width_mm", "is_told"), [(60.0, False), (170.0, True), (235.0, True), (330.0, False)]
)
def test_the_network_is_doubted_on_bodies_as_small_as_children(
    width_mm: float, is_told: bool
) -> None:
    volume = chest(0)
    body = find_body_box(volume, margin_mm=0.0)
    affine = volume.affine.copy()
    affine[:3, :2] *= width_mm / ((body.i_stop - body.i_start) * volume.spacing_mm[0])
    result = segment_volume(replace(volume, affine=affine), _Seeing())
    told = [doubt for doubt in result.doubts if "child" in doubt]
    assert len(told) == is_told
    assert all(f"{width_mm:.0f} mm wide" in doubt for doubt in told)
    unknown = replace(volume, affine=affine, spacing_nominal=True)
    assert segment_volume(unknown, _Seeing()).doubts == ()


@pytest.mark.parametrize(("noise_hu", "is_noisy"), [(0.0, False), (150.0, True)])
def test_noise_of_a_scan_of_unknown_scale_is_estimated(noise_hu: float, is_noisy: bool) -> None:
    engine, volume = _Seeing(), chest(noise_hu, grey=True)
    result = segment_volume(volume, engine)
    told = [doubt for doubt in result.doubts if "noisy" in doubt]
    assert len(told) == is_noisy
    assert all("estimated by the contrast" in doubt for doubt in told)


@pytest.mark.parametrize(("stretch", "lift"), [(0.6, 40.0), (0.9, 10.0)])
def test_the_estimate_does_not_depend_on_the_window(stretch: float, lift: float) -> None:
    frames = frames_of(chest(80))
    seen = (lift + frames * stretch).astype(np.uint8)
    estimated = measure_noise(seen, CONFIG, estimate_scale=True)
    assert estimated == pytest.approx(measure_noise(frames, CONFIG), rel=0.25)
