"""Which DICOM series a command takes."""

from __future__ import annotations

import argparse

from core.loading import JOINED

_JOIN_HELP = "take DICOM slices that each have a series of their own as one scan"


def add_series_arguments(parser: argparse.ArgumentParser) -> None:
    """`--series` and `--join-series`, both kept as `series`."""
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


def add_join_argument(parser: argparse.ArgumentParser) -> None:
    """`--join-series` of commands that work through many scans."""
    parser.add_argument("--join-series", action="store_true", help=_JOIN_HELP)
