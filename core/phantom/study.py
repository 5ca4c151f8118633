"""The demo study: every organ painted in turn, later ones over earlier ones.

What is left of the lungs at the end is the true lung mask.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from core.phantom.abdomen import paint_abdomen
from core.phantom.bones import paint_ribs, paint_scapulae, paint_shoulder_bones, paint_sternum
from core.phantom.canvas import Canvas
from core.phantom.chest_wall import paint_body
from core.phantom.disease import INFECTED_FRACTION, spread_disease
from core.phantom.frame import EXTENT_MM, Frame
from core.phantom.heart import paint_heart_fat
from core.phantom.lattice import lung_depth
from core.phantom.lung_trees import paint_trees
from core.phantom.lungs import paint_lungs, paint_parenchyma
from core.phantom.mediastinum import paint_mediastinum
from core.phantom.muscles import (
    paint_back_muscles,
    paint_girdle,
    paint_pectorals,
    paint_trunk_muscles,
)
from core.phantom.scanner import paint_table, scan, texture_tissue
from core.phantom.spine import paint_spine
from core.system import OnProgress, ignore_progress
from core.volume import Intensity, MaskPair, Study, volume_from_file

_STAGES: tuple[tuple[str, Callable[[Canvas], None]], ...] = (
    ("drawing the body", paint_body),
    ("drawing muscles", paint_trunk_muscles),
    ("drawing muscles", paint_back_muscles),
    ("drawing muscles", paint_pectorals),
    ("drawing muscles", paint_girdle),
    ("drawing bones", paint_scapulae),
    ("drawing the lungs", paint_lungs),
    ("drawing bones", paint_ribs),
    ("drawing bones", paint_sternum),
    ("drawing bones", paint_shoulder_bones),
    ("drawing the mediastinum", paint_mediastinum),
    ("drawing the mediastinum", paint_heart_fat),
    ("drawing the abdomen", paint_abdomen),
    ("drawing bones", paint_spine),
    ("drawing the table", paint_table),
)

DEMO_SHAPE = (512, 512, 96)
"""Voxels of the demo study along left, posterior and superior."""

FOLLOW_UP_FRACTION = 0.045
"""Infected share of the lung in the follow-up of the demo study."""
_FOLLOW_UP_SPAN = (0.05, 0.97)
"""Of the height of the first scan: what the follow-up shows."""


def build_demo_study(
    *,
    seed: int = 20,
    shape: tuple[int, int, int] = DEMO_SHAPE,
    on_progress: OnProgress = ignore_progress,
) -> Study:
    """A synthetic chest CT with COVID-like disease and its true masks.

    Args:
        seed: same seed and shape, same voxels; other seeds move vessels, disease and noise.
        shape: voxels along left, posterior and superior; the extent in mm stays the same.

    Returns:
        A study marked synthetic: int16 HU in [-1024, 3071], canonical axes, Fortran order.
    """
    return _build(Frame(shape), seed, on_progress=on_progress)


def build_demo_follow_up(
    *,
    seed: int = 20,
    shape: tuple[int, int, int] = DEMO_SHAPE,
    infected_fraction: float = FOLLOW_UP_FRACTION,
    on_progress: OnProgress = ignore_progress,
) -> Study:
    """The same generated chest scanned again: its patches have shrunk, noise is new, and the scan
    begins higher and ends lower than that of `build_demo_study`.

    Args:
        seed, shape: as of the first scan; the height left out shortens the result.
        infected_fraction: of the lung.
    """
    frame = Frame(shape)
    study = _build(
        frame, seed, infected_fraction=infected_fraction, scan_number=1, on_progress=on_progress
    )
    start, stop = (round(shape[2] * share) for share in _FOLLOW_UP_SPAN)
    affine = study.volume.affine.copy()
    affine[:3, 3] += affine[:3, 2] * start
    volume = volume_from_file(
        study.volume.array[:, :, start:stop],
        affine,
        intensity=study.volume.intensity,
        name="Synthetic follow-up",
        format="generated",
        facts=_facts(frame, stop - start),
    )
    truth = study.truth
    assert truth is not None
    assert truth.lung is not None
    assert truth.infection is not None
    kept = MaskPair(truth.lung[:, :, start:stop], truth.infection[:, :, start:stop])
    return Study(volume, kept, case_id="demo-follow-up", synthetic=True)


def _build(
    frame: Frame,
    seed: int,
    *,
    infected_fraction: float = INFECTED_FRACTION,
    scan_number: int = 0,
    on_progress: OnProgress,
) -> Study:
    canvas = Canvas(frame)
    total = len(_STAGES) + 4
    for done, (stage, paint) in enumerate(_STAGES):
        on_progress(stage, done, total)
        paint(canvas)
    tissue_rng, disease_rng, tree_rng, lung_rng, noise_rng = (
        np.random.default_rng([seed, stream]) for stream in range(5)
    )
    if scan_number:
        noise_rng = np.random.default_rng([seed, 4, scan_number])
    on_progress("texturing tissue", total - 4, total)
    texture_tissue(canvas, tissue_rng)
    on_progress("filling the lungs", total - 3, total)
    depth_mm = lung_depth(canvas)
    disease = spread_disease(depth_mm, disease_rng, infected_fraction)
    infected = paint_parenchyma(canvas, disease, lung_rng)
    on_progress("growing vessels", total - 2, total)
    paint_trees(canvas, depth_mm, tree_rng)
    on_progress("scanning", total - 1, total)
    hu = scan(canvas, noise_rng)
    lung_mask = canvas.lung > 127
    on_progress("scanning", total, total)
    return as_study(frame, hu, lung_mask, infected)


def as_study(
    frame: Frame,
    hu: npt.NDArray[np.int16],
    lung: npt.NDArray[np.bool_],
    infected: npt.NDArray[np.bool_],
) -> Study:
    """Arrays (slices, rows, columns) as the canonical study that a frame describes: HU, true lung
    and true infection."""
    sx, sy, sz = frame.spacing_mm
    affine = np.diag([-sx, -sy, sz, 1.0])
    affine[:3, 3] = ((EXTENT_MM[0] - sx) / 2, (EXTENT_MM[1] - sy) / 2, sz / 2)
    volume = volume_from_file(
        hu.T,
        affine,
        intensity=Intensity("HU", "generated in HU"),
        name="Synthetic demo study",
        format="generated",
        facts=_facts(frame, frame.shape[2]),
    )
    for mask in (lung, infected):
        mask.flags.writeable = False
    return Study(volume, MaskPair(lung.T, infected.T), case_id="demo", synthetic=True)


def _facts(frame: Frame, slices: int) -> tuple[tuple[str, str], ...]:
    columns, rows, _ = frame.shape
    return (
        ("Origin", "generated by this program: synthetic, not a patient"),
        ("Size", f"{columns} × {rows} × {slices}"),
        ("Spacing", " × ".join(f"{length:.2f}" for length in frame.spacing_mm) + " mm"),
        ("Truth", "lung and infection masks known exactly"),
    )
