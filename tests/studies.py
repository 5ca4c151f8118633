"""Studies small enough for a test to open in no time, and a stand-in for the trained network."""

from __future__ import annotations

import pickle
import threading
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from core.config import ModelConfig, PostprocessConfig, PreprocessConfig
from core.errors import Cancelled
from core.loading import grey_intensity
from core.phantom import build_demo_study
from core.segmentation.engines import Prediction
from core.volume import Intensity, MaskPair, Study, Volume, volume_from_file
from tests.scans import chest_hu, small_affine
from tests.shared import made_once

Mask = npt.NDArray[np.bool_]
SMALL_DEMO = (96, 96, 40)
DEMO_SHAPE = (256, 256, 48)
"""Voxels of the demo study in most tests, and on their servers; 48 slices of 6 mm."""


def small_volume(
    *, grey: bool = False, nominal: bool = False, name: str = "small.nii.gz"
) -> Volume:
    """The small chest, 48×40×8 at 1.5×1.5×5 mm, in HU or as an 8-bit export."""
    array: Any = chest_hu()
    intensity = Intensity("HU", "made in HU")
    warnings: tuple[str, ...] = ()
    if grey:
        array = np.clip((array + 1250.0) / 1500 * 255, 0, 255).astype(np.uint8)
        intensity = grey_intensity(reason="an 8-bit grey scale")
        warnings = ("Not in HU: black and white are taken as −1250 and 250 HU.",)
    return volume_from_file(
        array,
        small_affine(),
        intensity=intensity,
        name=name,
        format="nifti",
        facts=(("Format", "NIfTI"), ("Size", "48×40×8")),
        spacing_nominal=nominal,
        warnings=warnings,
    )


def small_truth() -> MaskPair:
    """Lungs, and a block of 6×4 voxels of infection in slices 3 to 5, largest in slice 4."""
    lung = np.zeros((48, 40, 8), dtype=bool, order="F")
    lung[6:20, 8:30, :] = True
    lung[28:42, 8:30, 1:7] = True
    infection = np.zeros_like(lung)
    infection[8:14, 20:24, 3:6] = True
    infection[30:36, 20:24, 4] = True
    return MaskPair(lung, infection)


def small_study(
    *,
    grey: bool = False,
    nominal: bool = False,
    truth: bool = True,
    name: str = "small.nii.gz",
    case_id: str = "small",
    synthetic: bool = False,
) -> Study:
    """The small chest, with or without its true masks."""
    return Study(
        small_volume(grey=grey, nominal=nominal, name=name),
        truth=small_truth() if truth else None,
        case_id=case_id,
        synthetic=synthetic,
    )


@cache
def built_demo(shape: tuple[int, int, int], *, seed: int = 20) -> Study:
    """`build_demo_study`, which takes seconds at any shape, once for all tests of a run."""
    study: Study = pickle.loads(demo_file(shape, seed=seed).read_bytes())  # noqa: S301
    for array in (study.volume.array, study.truth.lung, study.truth.infection):
        array.flags.writeable = False
    return study


def demo_file(shape: tuple[int, int, int] = DEMO_SHAPE, *, seed: int = 20) -> Path:
    """The pickled study of `built_demo`, written by a test of this run."""
    return made_once(
        f"demo-{seed}-{'x'.join(map(str, shape))}",
        lambda file: file.write_bytes(pickle.dumps(build_demo_study(seed=seed, shape=shape))),
    )


@cache
def demo_study(shape: tuple[int, int, int] = DEMO_SHAPE) -> Study:
    """The demo study with fewer voxels: every second, third or so of the one that is built.

    Args:
        shape: each a divisor of `DEMO_SHAPE`.
    """
    whole = built_demo(DEMO_SHAPE)
    if shape == DEMO_SHAPE:
        return whole
    steps = [full // few for full, few in zip(DEMO_SHAPE, shape, strict=True)]
    every = tuple(slice(None, None, step) for step in steps)
    volume, truth = whole.volume, whole.truth
    assert truth is not None
    assert truth.lung is not None
    assert truth.infection is not None
    thinned = [np.asfortranarray(one[every]) for one in (volume.array, truth.lung, truth.infection)]
    for array in thinned:
        array.flags.writeable = False
    assert thinned[0].shape == shape
    return replace(
        whole,
        volume=volume_from_file(
            thinned[0],
            volume.affine @ np.diag([*steps, 1.0]),
            intensity=volume.intensity,
            name=volume.source.name,
            format="generated",
        ),
        truth=MaskPair(thinned[1], thinned[2]),
    )


def repeat_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans that are generated to be measured are made of sixteen slices of the demo study that is
    there already, each as often as it takes."""
    monkeypatch.setattr(
        "core.phantom.build_demo_study", lambda *, shape: demo_study((*shape[:2], 16))
    )


@dataclass(frozen=True)
class StandInInfo:
    """What pages ask of installed weights."""

    weights_id: str = "stand-in"
    sha256: str = "stand-in"
    title: str = "Stand-in network"
    is_default: bool = True
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
    card_path: Path = Path("no card")
    manifest: dict[str, Any] = field(default_factory=dict)
    model: ModelConfig = field(default_factory=ModelConfig)


class StandInSegmenter:
    """Takes dark for lung and the left upper corner of the frame for infection."""

    device = "CPU (stand-in)"
    fallback_reason = ""
    weights_id = "stand-in"
    preprocess = PreprocessConfig()
    info = StandInInfo()

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.entered = threading.Event()

    def predict(
        self,
        frames: npt.NDArray[np.uint8],
        *,
        batch_size: int,
        on_progress: Any = None,
        should_cancel: Any = None,
    ) -> Prediction:
        """Waits until told to go on."""
        self.entered.set()
        while not self.may_go_on.wait(0.02):
            if should_cancel is not None and should_cancel():
                raise Cancelled("marking slices")
        count, rows, columns = frames.shape
        probabilities = np.zeros((2, count, rows, columns), dtype=np.uint8)
        inside = np.zeros((rows, columns), dtype=bool)
        inside[rows // 5 : -rows // 5, columns // 5 : -columns // 5] = True
        probabilities[0] = np.where((frames < 120) & inside, 200, 0)
        probabilities[1] = np.where(np.arange(columns) < columns // 3, 150, 20)
        if on_progress is not None:
            on_progress("marking slices", count, count)
        return Prediction(probabilities)


def use_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages find the stand-in installed and loaded, in place of any trained network."""
    segmenter = StandInSegmenter()
    monkeypatch.setattr("core.segmentation.load_segmenter", lambda *a, **k: segmenter)
    monkeypatch.setattr("core.segmentation.list_weights", lambda *a: (StandInInfo(),))
