"""Measure load, preprocess, predict, postprocess, restore and save, and peak memory."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from core.benchmark import run_benchmark
from core.cli.browser_benchmark import run_browser_benchmark
from core.cli.terminal import Result, TerminalProgress, table
from core.errors import ConfigError

EXAMPLES = """examples:
  python -m core benchmark
  python -m core benchmark --size 512x512x300 --json
  python -m core benchmark --input scan.nii.gz
  python -m core benchmark --browser"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `benchmark`."""
    parser.add_argument(
        "--size", default="512x512x300", help="of the generated scan, columns×rows×slices"
    )
    parser.add_argument("--input", type=Path, help="measure this scan instead")
    parser.add_argument(
        "--browser", action="store_true", help="measure the viewer in headless Chromium instead"
    )
    parser.add_argument("--weights", help="folder name in weights/ (default: the best so far)")


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Measures in a fresh process and prints a row a stage."""
    if options.browser:
        return run_browser_benchmark(_parse_size(options.size), progress)
    figures = run_benchmark(
        size=_parse_size(options.size),
        scan=options.input,
        weights_id=options.weights,
        on_progress=progress,
    )
    return Result(_text(figures), figures)


def _parse_size(text: str) -> tuple[int, int, int]:
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(re.fullmatch("[0-9]{1,6}", part) for part in parts):
        raise ConfigError("The size cannot be read", got=text[:40], expected="such as 512x512x300")
    columns, rows, slices = map(int, parts)
    return columns, rows, slices


def _text(figures: dict[str, Any]) -> str:
    slices = figures["shape"][2]
    rows = [
        (stage, f"{spent:.2f}", f"{1000 * spent / slices:.1f}")
        for stage, spent in figures["seconds"].items()
    ]
    rows.append(
        (
            "start to saved masks",
            f"{figures['seconds_from_start_to_masks']:.2f}",
            f"{1000 * figures['seconds_from_start_to_masks'] / slices:.1f}",
        )
    )
    peak = figures["peak_memory_mb"]
    return "\n".join(
        [
            f"{'×'.join(map(str, figures['shape']))} voxels, {figures['device']}, "
            f"weights {figures['weights_id']}",
            table(("stage", "seconds", "ms a slice"), rows),
            f"page step (server): {figures['page_step_ms']:.2f} ms",
            f"peak memory: {'not known' if peak is None else f'{peak} MB'}",
        ]
    )
