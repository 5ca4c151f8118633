"""Options of every command that opens a scan: which series, which values, which orientation."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.cli.terminal import TerminalProgress
from core.config import check_window
from core.loading import JOINED, open_study
from core.volume import Study

_JOIN_HELP = "open DICOM slices that each have a series of their own as one scan"


def add_scan_arguments(parser: argparse.ArgumentParser) -> None:
    """Which series, and what the values stand for."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--series",
        metavar="UID",
        help="which DICOM series, where there are several; UID#1 or UID#2 for one acquisition of "
        "a series that holds several",
    )
    which.add_argument(
        "--join-series", dest="series", action="store_const", const=JOINED, help=_JOIN_HELP
    )
    add_window_argument(parser)
    parser.add_argument(
        "--orientation",
        metavar="CODES",
        help="directions of the axes of the file, such as LPS, where its header is wrong",
    )


def add_join_argument(parser: argparse.ArgumentParser) -> None:
    """`--join-series` of commands that work through many scans."""
    parser.add_argument("--join-series", action="store_true", help=_JOIN_HELP)


def add_window_argument(parser: argparse.ArgumentParser) -> None:
    """What the values of a scan stand for that is not in HU."""
    parser.add_argument(
        "--window",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="HU of black and white, for scans that are not in HU",
    )


def given_window(options: argparse.Namespace) -> tuple[float, float] | None:
    """The window given by `--window`; none where it was not given.

    Raises:
        ConfigError: black is not below white.
    """
    window = vars(options).get("window")
    if window is None:
        return None
    low_hu, high_hu = window
    check_window(low_hu, high_hu)
    return (low_hu, high_hu)


def add_mask_arguments(parser: argparse.ArgumentParser) -> None:
    """How the true masks that are given are read."""
    parser.add_argument(
        "--same-grid",
        action="store_true",
        help="place true masks on the scan voxel by voxel, whatever position their files give",
    )
    parser.add_argument(
        "--infection-label",
        type=int,
        nargs="+",
        default=[],
        metavar="N",
        help="labels of the true infection mask that are infection (default: by known codings)",
    )


def open_scan(
    options: argparse.Namespace, progress: TerminalProgress, *, path: Path | None = None
) -> Study:
    """The scan of the command, with the true masks that were given.

    Args:
        path: which scan, of a command that opens several; none takes the input.

    Raises:
        LungLensError: as `open_study`.
    """
    given = vars(options)
    return open_study(
        path or options.input,
        series_uid=given.get("series"),
        lung_mask_path=given.get("lung_mask"),
        infection_mask_path=given.get("infection_mask"),
        same_grid=given.get("same_grid", False),
        infection_labels=tuple(given.get("infection_label") or ()),
        window=given_window(options),
        orientation=given.get("orientation"),
        on_progress=progress,
    )
