"""Show what a scan is: size, spacing, orientation, HU or not, and anything odd about it."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.cli.scan_options import add_scan_arguments, open_scan
from core.cli.terminal import Result, TerminalProgress
from core.evaluation import describe

EXAMPLES = """examples:
  python -m core info scan.nii.gz
  python -m core info dicom_folder --series 1.2.840.113619
  python -m core info series.zip --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `info`."""
    parser.add_argument("input", type=Path, help="NIfTI file, DICOM folder, zip or picture")
    add_scan_arguments(parser)


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Opens the scan and lists what was recognised."""
    study = open_scan(options, progress)
    volume = study.volume
    lines = [volume.source.name]
    lines += [f"  {label}: {value}" for label, value in volume.source.facts]
    lines += [f"  note: {warning}" for warning in volume.warnings]
    values = describe(volume)
    values["facts"] = dict(volume.source.facts)
    values["warnings"] = list(volume.warnings)
    return Result("\n".join(lines), values)
