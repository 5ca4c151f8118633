"""A batch from start to end: find scans, skip what is done, work, collect."""

from __future__ import annotations

import platform
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from core import __version__
from core.batch.find import Found, find_scans
from core.batch.job import BatchJob
from core.batch.ledger import BatchSummary, Ledger
from core.batch.local import run_on_processes
from core.batch.on_dask import run_on_dask
from core.batch.places import (
    FORMAT,
    RECORD_NAME,
    BatchPaths,
    has_damaged_record,
    is_batch_result,
    read_record,
    set_aside,
)
from core.batch.tables import (
    biomarker_columns,
)
from core.config import CHANNELS, BatchConfig, SegmentConfig, to_json_dict
from core.errors import SaveError
from core.segmentation import WeightsInfo, find_weights
from core.system import (
    OnProgress,
    ShouldCancel,
    cpu_count,
    cpu_name,
    ignore_progress,
    json_text,
    make_folder,
    never_cancel,
    remove_partial_files,
    take_lock,
    write_text,
)


def run_batch(
    folder: Path,
    output: Path,
    *,
    config: BatchConfig | None = None,
    scheduler: str | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> BatchSummary:
    """Segments and measures every scan below a folder; may be interrupted and resumed.

    Args:
        folder: where scans are looked for, see `find_scans`.
        output: gets a folder for each scan, and tables of all; made if absent.
        config: settings; `workers` counts only without a scheduler. None takes the thresholds
            that the default weights were evaluated with, and one worker.
        scheduler: address of a Dask scheduler whose workers do the work.
        on_progress: called with how many scans have ended, and about how long the rest takes.
        should_cancel: asked a few times a second.

    Raises:
        LoadError: there is no scan.
        WeightsError, ConfigError, EngineUnavailable: the network cannot be had.
        SaveError: results cannot be written, or another batch writes into the same folder.
        Cancelled: the person asked to stop; what is done stays done.
    """
    config, info = _with_weights(config)
    damaged = has_damaged_record(output)
    paths = _claim_place(folder, output)
    with _alone(paths):
        started = time.monotonic()
        found = find_scans(
            folder,
            leave_out=output,
            join_series=config.join_series,
            follow_links=config.follow_links,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
        job = _make_job(folder, output, config, info)
        _write_record(job, config, info, found)
        ledger = Ledger(job, found, retry_failed=config.retry_failed, on_progress=on_progress)
        try:
            lost = _work(ledger, job, config, scheduler, should_cancel)
        finally:
            # Also when stopped: the tables then say what is done and what is waiting.
            ledger.close()
        seconds = round(time.monotonic() - started, 2)
        summary = ledger.summary(lost_workers=lost, seconds=seconds)
        if damaged:
            summary = replace(summary, renewed=(RECORD_NAME, *summary.renewed))
        _write_record(job, config, info, found, summary)
        return summary


def _make_job(folder: Path, output: Path, config: BatchConfig, info: WeightsInfo) -> BatchJob:
    return BatchJob(
        folder=str(folder.resolve()),
        output=str(output.resolve()),
        run_id=secrets.token_hex(6),
        segment=config.segment,
        engine=config.engine,
        weights_sha256=info.sha256,
        colours=_outline_colours(),
        window=config.window,
        timeout_s=config.timeout_s,
    )


def _with_weights(config: BatchConfig | None) -> tuple[BatchConfig, WeightsInfo]:
    """The settings with the weights by name, since the default may change before the batch is
    resumed, and the weights."""
    if config is None:
        info = find_weights()
        config = BatchConfig(segment=SegmentConfig(postprocess=info.postprocess))
    info = find_weights(config.segment.weights_id)
    return replace(config, segment=replace(config.segment, weights_id=info.weights_id)), info


def _work(
    ledger: Ledger,
    job: BatchJob,
    config: BatchConfig,
    scheduler: str | None,
    should_cancel: ShouldCancel,
) -> int:
    """Works through what is left; returns how many worker processes were lost."""
    if not ledger.left:
        return 0
    if scheduler is not None:
        return run_on_dask(
            job,
            ledger.left,
            scheduler=scheduler,
            on_ended=ledger.enter,
            should_cancel=should_cancel,
        )
    return run_on_processes(
        job,
        ledger.left,
        workers=config.workers,
        less_urgent=config.less_urgent,
        on_ended=ledger.enter,
        should_cancel=should_cancel,
    )


def _outline_colours() -> dict[str, str]:
    # Only the process that starts a batch needs them, and workers import this module too.
    from core.drawing import PREDICTION_COLOURS

    return {channel: PREDICTION_COLOURS[channel] for channel in CHANNELS}


def _claim_place(folder: Path, output: Path) -> BatchPaths:
    """The folder of results, made and tried."""
    paths = BatchPaths(output)
    if output.resolve() == folder.resolve():
        raise SaveError(
            "Results cannot go into the folder of the scans itself",
            got="one folder for both",
            expected="another folder, which may lie inside it",
            next_step="choose another -o",
        )
    make_folder(output, option="-o")
    foreign = [path for path in (paths.table, paths.failures) if path.exists()]
    if foreign and not is_batch_result(output) and not has_damaged_record(output):
        raise SaveError(
            f"{foreign[0].name} would be overwritten",
            got="a folder that no batch has written",
            expected="an empty folder, or the results of an earlier batch",
            next_step="choose another -o",
        )
    try:
        for path in (paths.record, paths.table, paths.failures, paths.key, paths.lock, paths.log):
            set_aside(path)
    except OSError as error:
        raise SaveError(
            "The folder of results cannot be put in order",
            got=error.strerror or "a write error",
            expected="files where a batch keeps its records",
            next_step="choose another -o",
        ) from error
    return paths


@contextmanager
def _alone(paths: BatchPaths) -> Iterator[None]:
    """One batch at a time writes into a folder; the system ends the claim of one that is killed."""
    with paths.lock.open("ab") as file:
        if not take_lock(file):
            raise SaveError(
                "Another batch writes into this folder",
                got="a running batch",
                expected="one at a time",
                next_step="wait until it ends, or choose another -o",
            )
        remove_partial_files(paths.folder)
        yield


def _write_record(
    job: BatchJob,
    config: BatchConfig,
    info: WeightsInfo,
    found: Found,
    summary: BatchSummary | None = None,
) -> None:
    before = _runs_of(read_record(job.paths.record))
    runs = [run for run in before if run.get("run_id") != job.run_id]
    run: dict[str, Any] = {"run_id": job.run_id, "machine": cpu_name(), "cores": cpu_count()}
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    if summary is None:
        run["started"] = now
    else:
        own = [run for run in before if run.get("run_id") == job.run_id]
        counts = summary.to_json_dict()
        del counts["failures"], counts["left_out"]
        run.update(*own, finished=now, **counts)
    record = {
        "format": FORMAT,
        "run_id": job.run_id,
        "settings": to_json_dict(config),
        "weights": {"weights_id": info.weights_id, "title": info.title, "sha256": info.sha256},
        "versions": _versions(),
        "definitions": [
            {name: getattr(one, name) for name in ("key", "label", "unit", "definition", "source")}
            for one in biomarker_columns()
        ],
        "scans": len(found.scans),
        "left_out": found.left_out,
        "runs": [*runs, run],
    }
    write_text(job.paths.record, json_text(record) + "\n")
    key = {
        "format": FORMAT,
        "note": "Where each scan lies. Names of files and folders may be those of patients: "
        "leave this file out when results are passed on.",
        "folder": job.folder,
        "scans": {
            scan.scan_id: {
                "place": scan.place,
                "files": len(scan.files),
                "series_uid": scan.series_uid,
            }
            for scan in found.scans
        },
    }
    write_text(job.paths.key, json_text(key) + "\n")


def _runs_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The earlier runs of a record that others may have written."""
    runs = record.get("runs")
    return [run for run in runs if isinstance(run, dict)] if isinstance(runs, list) else []


def _versions() -> dict[str, str]:
    import nibabel
    import numpy

    versions = {"lunglens": __version__, "python": platform.python_version()}
    versions |= {"numpy": numpy.__version__, "nibabel": nibabel.__version__}
    return versions
