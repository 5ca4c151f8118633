"""Segment and measure every scan of a folder, by several processes or a Dask cluster.

OUT gets a folder for each scan with masks, thumbnail.png and result.json; cohort.csv with one row
a scan; failures.csv with reasons; batch.json with settings and versions; and paths.json, which
says what scan lies where and may hold names of patients. Scans that are done are skipped the
next time, so the same command resumes an interrupted batch.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.batch import BatchSummary, run_batch
from core.cli.scan_options import add_join_argument, add_window_argument, given_window
from core.cli.segment import add_segment_arguments, segment_config
from core.cli.terminal import Result, TerminalProgress
from core.config import RESEARCH_NOTE, BatchConfig
from core.errors import Cancelled, ConfigError
from core.segmentation import find_weights

_MOST_LISTED = 20

EXAMPLES = """examples:
  python -m core batch scans -o results --workers 2
  python -m core batch scans -o results --workers 2 --retry-failed
  python -m core batch /share/scans -o /share/results --scheduler tcp://10.0.0.1:8786

exit code: 0 when every scan found has a result or a reason for its failure (failed scans are listed
and do not change it), 1 when the batch was stopped or could not run, 2 for wrong usage."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `batch`."""
    parser.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="NIfTI files, DICOM folders, zips, folders of pictures, the 20-case layout, nested "
        "to any depth; masks are left out",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--workers",
        type=int,
        help=f"processes on this machine (default: {BatchConfig().workers}); they share its cores, "
        "and each needs memory for one scan",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="Dask scheduler, such as tcp://10.0.0.1:8786, whose workers see FOLDER and OUT under "
        "the same paths; only on a network that you trust",
    )
    parser.add_argument("--retry-failed", action="store_true", help="try failed scans again")
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="give up a scan that takes longer (default: no limit)",
    )
    add_join_argument(parser)
    parser.add_argument(
        "--follow-links",
        action="store_true",
        help="follow symbolic links, also to scans outside FOLDER; each folder is searched once",
    )
    add_window_argument(parser)
    add_segment_arguments(parser)


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Works through the folder; failed scans are part of the result, not the end of it."""
    if options.scheduler is not None and options.workers is not None:
        raise ConfigError(
            "A Dask scheduler has workers of its own",
            got="--workers with --scheduler",
            expected="one of them",
            next_step="leave --workers out",
        )
    config = BatchConfig(
        segment=segment_config(options, find_weights(options.weights)),
        engine=options.engine,
        workers=BatchConfig().workers if options.workers is None else options.workers,
        retry_failed=options.retry_failed,
        join_series=options.join_series,
        follow_links=options.follow_links,
        window=given_window(options),
        timeout_s=options.timeout,
    )
    try:
        with _ending_like_ctrl_c():
            summary = run_batch(
                options.folder,
                options.output,
                config=config,
                scheduler=options.scheduler,
                on_progress=progress,
            )
    except KeyboardInterrupt:
        raise Cancelled(
            "working on scans; what is done is kept, and the same command resumes"
        ) from None
    return Result(_text(summary, options.output), summary.to_json_dict())


@contextmanager
def _ending_like_ctrl_c() -> Iterator[None]:
    """Schedulers of clusters end a process by SIGTERM: then too the tables are written."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _text(summary: BatchSummary, output: Path) -> str:
    lines = [
        f"{summary.done} of {summary.found} scans done ({summary.kept} of them before), "
        f"{len(summary.failures)} failed, in {summary.seconds:.1f} s",
    ]
    lines += [
        f"failed: {name} ({scan_id}): {reason}"
        for scan_id, name, reason in summary.failures[:_MOST_LISTED]
    ]
    if len(summary.failures) > _MOST_LISTED:
        lines.append(f"failed: {len(summary.failures) - _MOST_LISTED} more, see failures.csv")
    if summary.renewed:
        shown = ", ".join(summary.renewed[:_MOST_LISTED])
        more = len(summary.renewed) - _MOST_LISTED
        lines.append(
            f"note: records of an earlier run that could not be used and were made again: {shown}"
            + (f" and {more} more" if more > 0 else "")
        )
    if summary.lost_workers:
        lines.append(
            f"note: {summary.lost_workers} worker process"
            f"{'es' if summary.lost_workers != 1 else ''} ended abruptly and were replaced"
        )
    lines += [f"left out: {reason}: {count}" for reason, count in summary.left_out.items()]
    lines.append(f"wrote cohort.csv and a folder for each scan to {output}")
    lines.append(RESEARCH_NOTE)
    return "\n".join(lines)
