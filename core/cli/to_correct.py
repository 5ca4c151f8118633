"""List what to correct next: the scans of a folder that the network is least sure of.

The network marks each scan and its mirror image. Where the two masks of infection disagree, it is
unsure, and a person's time is spent best.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.batch import FoundScan, find_scans, open_found
from core.cli.terminal import Result, TerminalProgress, table
from core.segmentation import RankedScan, load_segmenter, rank_scans
from core.system import number_text
from core.volume import Volume

EXAMPLES = """examples:
  python -m core to-correct covid20
  python -m core to-correct scans --slices 3 --weights my-unet --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `to-correct`."""
    parser.add_argument("folder", type=Path, help="folder of cases, or of scans of any kind")
    parser.add_argument("--weights", help="name of the weights; the default ones if absent")
    parser.add_argument(
        "--slices", type=int, default=5, metavar="N", help="slices to name of each (default 5)"
    )


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """The scans, the one that the network is least sure of first."""
    folder = options.folder
    found = find_scans(folder, on_progress=progress)
    scans = [(scan.name, _opener(scan, folder.resolve())) for scan in found.scans]
    segmenter = load_segmenter(options.weights)
    ranked = rank_scans(scans, segmenter, slices=max(0, options.slices), on_progress=progress)
    progress.clear()
    lines = [
        table(
            ("scan", "disagreement", "entropy at the border", "slices to check"),
            [_row(one) for one in ranked],
        ),
        *(f"{one.name}: {one.trouble}" for one in ranked if one.trouble),
    ]
    return Result(
        "\n".join(lines),
        {"weights_id": segmenter.weights_id, "scans": [_values(one) for one in ranked]},
    )


def _opener(scan: FoundScan, folder: Path) -> Callable[[], Volume]:
    return lambda: open_found(scan, folder).volume


def _row(one: RankedScan) -> tuple[str, ...]:
    if one.found is None:
        return (one.name, "not measured", "", "")
    looked_at = ", ".join(str(k + 1) for k in one.slices)
    found = one.found
    return (
        one.name,
        number_text(found.disagreement),
        number_text(found.border_entropy),
        looked_at or "none",
    )


def _values(one: RankedScan) -> dict[str, Any]:
    found = one.found
    return {
        "scan": one.name,
        "disagreement": None if found is None else found.disagreement,
        "border_entropy": None if found is None else found.border_entropy,
        "slices": [k + 1 for k in one.slices],
        "trouble": one.trouble,
    }
