"""The work on one scan: open, mark, measure, write. Its result is a file, not what is returned."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from core.batch.deadline import Deadline
from core.batch.find import FoundScan
from core.batch.job import MOST_CRASHES, BatchJob, ScanTask
from core.batch.places import ScanPaths, read_record, set_aside
from core.batch.records import (
    count_open_attempts,
    crash_sentence,
    is_settled,
    note_attempt,
    record_head,
    write_failure,
)
from core.config import CHANNELS
from core.drawing import draw_key_slice
from core.errors import Cancelled, LungLensError, SaveError
from core.evaluation import measure
from core.loading import Case, load_case, open_study
from core.measuring.biomarkers import compute_biomarkers, compute_slice_burden
from core.measuring.quality import first_undamaged
from core.output import mask_file_notes, save_mask
from core.segmentation import load_segmenter, segment_volume
from core.segmentation.engines import Engine
from core.segmentation.lobes import find_lobes
from core.system import (
    OnProgress,
    ignore_progress,
    json_text,
    remove_partial_files,
    take_lock,
    write_bytes,
    write_text,
)
from core.volume import MaskPair, Study, Volume

Outcome = Literal["done", "failed", "kept"]

_SECONDS_BETWEEN_LOOKS = 0.2
_THUMBNAIL_WIDTH = 224


class WorkerUnavailable(LungLensError):
    """This worker can do no scan at all: it lacks the weights, the engine or the folder."""


def prepare_worker(job: BatchJob) -> Engine:
    """The network, loaded once per process.

    Raises:
        WorkerUnavailable: it cannot be had here, or the folders of the batch cannot be seen.
    """
    if read_record(job.paths.record).get("run_id") != job.run_id or not os.path.isdir(job.folder):
        raise WorkerUnavailable(
            "A worker does not see the folders of the batch",
            got="different folders, or none, at their paths",
            expected="one file system, under the same paths on every machine",
            next_step="mount them there, or start the batch on this machine alone",
        )
    try:
        segmenter = load_segmenter(job.segment.weights_id, engine=job.engine)
    except LungLensError as error:
        raise WorkerUnavailable(str(error).rstrip(".")) from error
    if segmenter.info.sha256 != job.weights_sha256:
        raise WorkerUnavailable(
            "A worker has other weights than the batch",
            got=segmenter.info.sha256[:12],
            expected=job.weights_sha256[:12],
            next_step="install the same version of LungLens on every machine",
        )
    return segmenter


def work_on_scan(
    job: BatchJob, task: ScanTask, *, on_progress: OnProgress = ignore_progress
) -> Outcome:
    """Works on a scan, unless this run, or an earlier one on the same files, has done so.

    May be called again for the same scan, by any process, at any time: whoever holds the scan's
    lock works, whoever comes later finds the result. A scan that took several processes along
    with it is given up; where one takes longer than the time limit of the batch, this process ends.

    Raises:
        WorkerUnavailable: see `prepare_worker`.
        SaveError: nothing can be written into the folder of results.
    """
    segmenter = prepare_worker(job)
    paths = job.paths.scan(task.scan.scan_id)
    with _claimed(paths):
        if is_settled(paths, job, task):
            return "kept"
        crashes = count_open_attempts(paths, job.run_id)
        if crashes >= MOST_CRASHES:
            write_failure(job, task, crash_sentence(crashes))
            return "failed"
        note_attempt(paths, job.run_id, "begun")
        _clear(paths)
        started = time.perf_counter()
        try:
            with Deadline(job, task):
                measured = _open_mark_and_write(job, task.scan, paths, segmenter, on_progress)
        except SaveError:
            raise  # a full disk is no fault of the scan
        except Exception as error:
            return _fail(job, task, error)
        measured["seconds"]["all"] = round(time.perf_counter() - started, 4)
        name = measured["scan"]["name"] if task.scan.kind != "case" else task.scan.name
        record = {**record_head(job, task, "done"), "name": name, **measured}
        # The one moment from which the scan counts as done.
        write_text(paths.result, json_text(record) + "\n")
        note_attempt(paths, job.run_id, "done")
        return "done"


@contextmanager
def _claimed(paths: ScanPaths) -> Iterator[None]:
    """The scan's lock, waited for while another process works on it.

    The system drops it with the process that holds it, so a killed worker claims nothing.
    """
    try:
        set_aside(paths.folder, is_folder=True)
        paths.folder.mkdir(exist_ok=True)
        for path in (paths.lock, paths.attempts):
            set_aside(path)
        file = paths.lock.open("ab")
    except OSError as error:
        raise SaveError(
            "The folder of results cannot be written",
            got=error.strerror or "a write error",
            expected="a writable place with free space",
            next_step="choose another -o",
        ) from error
    with file:
        while not take_lock(file):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        yield


def _clear(paths: ScanPaths) -> None:
    """Old files must not pass for those of a result that is not there yet."""
    # The result first: what it vouches for changes from here on.
    old = [paths.result, *map(paths.mask, CHANNELS), paths.thumbnail, paths.error]
    for path in old:
        with contextlib.suppress(OSError):
            if not set_aside(path):
                path.unlink(missing_ok=True)
    remove_partial_files(paths.folder)


def _open_mark_and_write(
    job: BatchJob, scan: FoundScan, paths: ScanPaths, segmenter: Engine, on_progress: OnProgress
) -> dict[str, Any]:
    started = time.perf_counter()
    study = open_found(scan, Path(job.folder), window=job.window, on_progress=on_progress)
    loaded = time.perf_counter()
    segmentation = segment_volume(
        study.volume, segmenter, config=job.segment, on_progress=on_progress
    )
    marked = time.perf_counter()
    masks, volume = segmentation.masks, study.volume
    for channel in CHANNELS:
        save_mask(getattr(masks, channel), volume, paths.mask(channel))
    key_slice = choose_key_slice(masks, volume)
    turns = segmentation.record.quarter_turns
    write_bytes(paths.thumbnail, _thumbnail(volume, masks, key_slice, job.colours, turns))
    saved = time.perf_counter()
    lobes = find_lobes(masks.lung, volume)
    biomarkers = compute_biomarkers(volume, masks, lobes=lobes, on_progress=on_progress)
    seconds = {
        "load": loaded - started,
        **segmentation.seconds,
        "save": saved - marked,
        "measure": time.perf_counter() - saved,
    }
    found = biomarkers.to_json_dict()
    values = measure(study, replace(segmentation, seconds=seconds), biomarkers=biomarkers)
    values["warnings"] = [*values["warnings"], *mask_file_notes(volume)]
    return {
        **values,
        "kind": scan.kind,
        "key_slice": key_slice + 1,  # counted from 1, as people do
        "biomarkers": {
            "values": found["values"],
            # Definitions are the same for every scan: they stand once in the record of the batch.
            "undefined_because": {
                one.key: one.reason for one in biomarkers.measurements if not one.defined
            },
            "cut_offs": found["cut_offs"],
            "notes": found["notes"],
        },
    }


def open_found(
    scan: FoundScan,
    folder: Path,
    *,
    window: tuple[float, float] | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Study:
    """The scan behind what was found, with its true masks where it has any.

    Args:
        window: HU of black and white, for a scan that is not in HU.

    Raises:
        LoadError, GeometryError: it cannot be opened.
    """
    files = [folder / name for name in scan.files]
    if scan.kind == "case":
        lung, infection, labels = (
            None if name is None else folder / name
            for name in (scan.lung, scan.infection, scan.labels)
        )
        case = Case(
            case_id=scan.name,
            patient_id=scan.name,
            scan_path=files[0],
            lung_path=lung,
            infection_path=infection,
            label_path=labels,
        )
        return load_case(case, window=window, on_progress=on_progress)
    return open_study(files, series_uid=scan.series_uid, window=window, on_progress=on_progress)


def choose_key_slice(masks: MaskPair, volume: Volume) -> int:
    """The axial slice that shows most: of infection, else of lung, else the middle one.

    Slices that the quality checks find damaged come last.
    """
    burden = compute_slice_burden(masks, volume)
    if burden.most_infected is not None:
        shown = burden.infection_pixels
    elif masks.lung is not None and masks.lung.any():
        shown = burden.lung_pixels
    else:
        return volume.shape[2] // 2
    best = [int(k) for k in np.argsort(-shown, kind="stable") if shown[k] > 0]
    undamaged = first_undamaged(volume, best)
    return best[0] if undamaged is None else undamaged


def _thumbnail(
    volume: Volume, masks: MaskPair, key_slice: int, colours: dict[str, str], turns: int
) -> bytes:
    drawn = {
        colours[channel]: mask
        for channel in CHANNELS
        if (mask := getattr(masks, channel)) is not None
    }
    return draw_key_slice(
        volume, key_slice, masks=drawn, width=_THUMBNAIL_WIDTH, quarter_turns=turns
    )


def _fail(job: BatchJob, task: ScanTask, error: Exception) -> Outcome:
    if isinstance(error, Cancelled):
        raise error
    if isinstance(error, LungLensError):
        reason = str(error)
    elif isinstance(error, MemoryError):
        reason = "There is not enough memory for this scan; use fewer workers and --retry-failed."
    else:
        write_text(job.paths.scan(task.scan.scan_id).error, traceback.format_exc())
        reason = (
            f"An error in the program stopped the work on this scan: got {type(error).__name__}; "
            f"error.txt in its folder says where."
        )
    write_failure(job, task, reason)
    return "failed"
