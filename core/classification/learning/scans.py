"""Whole scans whose patient the segmentation network has not met, to calibrate verdicts on scans.

A scan with COVID-19 is one of `covid20` and `medseg_set2` (each patient once: the second team's
pictures show the same patients at full length); one without is one of `whole_chest` and the healthy
chest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.classification.config import ClassifierModelConfig
from core.classification.frames import Frames, slice_frames
from core.classification.scan import ScanModel, choose_slices, shares
from core.measuring.biomarkers import count_by_slice
from core.segmentation import WeightsInfo, segment_volume
from core.segmentation.engines import default_engine, load_engine
from core.segmentation.weights import read_manifest
from core.system import OnProgress, ignore_progress
from core.training.mixture.evaluating import FEW_SLICES
from core.training.mixture.sources import LabelledStudy, read_studies

WITH_COVID = ("covid20", "second_team")
WITHOUT = ("whole_chest", "whole_unmarked", "healthy")


@dataclass(frozen=True, eq=False)
class HeldOutScan:
    """A scan as the classifier sees it, with masks of a network that has not met its patient.

    Attributes:
        label: 1 for COVID-19, else 0.
        infected_share: of the lung; nan without lung.
        frames: (n, rows, columns, 3) of the slices that count.
    """

    name: str
    patient: str
    source: str
    label: int
    segmented_by: str
    infected_share: float
    frames: Frames


def collect_scans(
    data: Path,
    folds: Sequence[Path],
    config: ClassifierModelConfig,
    *,
    on_progress: OnProgress = ignore_progress,
) -> tuple[HeldOutScan, ...]:
    """Every scan that one of the networks has held out.

    Args:
        folds: weights folders of networks whose manifests name what they have held out.
    """
    infos = [read_manifest(place) for place in folds]
    engines = {info.weights_id: load_engine(info, default_engine()) for info in infos}
    holder = {scan_id: info.weights_id for info in infos for scan_id in _held_out(info)}
    found: list[HeldOutScan] = []
    for study in _whole_scans(data):
        if study.scan_id not in holder:
            continue
        on_progress("segmenting scans", len(found), len(holder))
        engine = engines[holder[study.scan_id]]
        segmentation = segment_volume(study.volume, engine)
        lung = segmentation.masks.lung
        assert lung is not None
        slices = choose_slices(count_by_slice(lung), ScanModel())
        found.append(
            HeldOutScan(
                name=study.scan_id,
                patient=study.patient_id,
                source=study.source,
                label=int(study.source in WITH_COVID),
                segmented_by=holder[study.scan_id],
                infected_share=shares(segmentation.masks, has_zones=False)[0],
                frames=slice_frames(study.volume, segmentation, slices, config),
            )
        )
    return tuple(found)


def _held_out(info: WeightsInfo) -> Iterator[str]:
    for source in (*WITH_COVID, *WITHOUT):
        yield from info.manifest["sets"]["held_out"].get(source, ())


def _whole_scans(data: Path) -> Iterator[LabelledStudy]:
    for study in read_studies(data):
        is_volume = study.source in (*WITH_COVID, *WITHOUT)
        if is_volume and study.volume.shape[2] > FEW_SLICES:
            yield study


def write_scans(place: Path, scans: Sequence[HeldOutScan]) -> None:
    """Writes scans, so that they need to be segmented once."""
    with place.open("wb") as file:
        np.savez_compressed(
            file,
            frames=np.concatenate([scan.frames for scan in scans]),
            counts=np.array([len(scan.frames) for scan in scans]),
            shares=np.array([scan.infected_share for scan in scans]),
            facts=np.array(
                [
                    [scan.name, scan.patient, scan.source, str(scan.label), scan.segmented_by]
                    for scan in scans
                ]
            ),
        )


def read_scans(place: Path) -> tuple[HeldOutScan, ...]:
    """Reads what `write_scans` has written."""
    with np.load(place, allow_pickle=False) as stored:
        frames = np.split(stored["frames"], np.cumsum(stored["counts"])[:-1])
        return tuple(
            HeldOutScan(name, patient, source, int(label), by, float(share), own)
            for (name, patient, source, label, by), share, own in zip(
                stored["facts"].tolist(), stored["shares"], frames, strict=True
            )
        )
