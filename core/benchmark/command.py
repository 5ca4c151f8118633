"""Measure every stage from start to saved masks, and peak memory; optionally beside lungmask."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from core.benchmark.backends import (
    BACKENDS,
    BATCH_SIZES,
    BackendsPlan,
    describe_devices,
    find_backends,
    measure_backends,
)
from core.benchmark.browser import EVENTS, WIDGETS, run_browser_benchmark
from core.benchmark.everything import run_everything
from core.benchmark.lungmask import time_lungmask
from core.benchmark.rows import Row, to_json_rows
from core.benchmark.stages import describe_machine, run_benchmark, scan_to_measure
from core.cli.segment import add_engine_argument
from core.cli.terminal import Result, TerminalProgress, table
from core.errors import ConfigError
from core.evaluation import AFTER_MASKS
from core.segmentation import find_weights
from core.system import (
    check_place,
    json_text,
    number_text,
    size_text,
    software_versions,
    write_text,
)

EXAMPLES = """examples:
  python -m core benchmark
  python -m core benchmark --size 512x512x300 --json
  python -m core benchmark --input scan.nii.gz --engine keras
  python -m core benchmark --against-lungmask lungmask_env/bin/python --save benchmark.json
  python -m core benchmark --browser
  python -m core benchmark --backends --save backends.json
  python -m core benchmark --backends jax --batch-sizes 8 32 --size 256x256x60
  python -m core benchmark --all --save benchmark.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `benchmark`."""
    parser.add_argument(
        "--size", default="512x512x300", help="of the generated scan, columns×rows×slices"
    )
    parser.add_argument("--input", type=Path, help="measure this scan instead")
    parser.add_argument(
        "--all",
        action="store_true",
        help="measure engine, classifier, report, batch and GPU, and print one table",
    )
    parser.add_argument(
        "--batch-scans",
        type=int,
        default=12,
        help="with --all: generated scans of the batch (default %(default)s)",
    )
    parser.add_argument(
        "--browser", action="store_true", help="measure the viewer in headless Chromium instead"
    )
    parser.add_argument(
        "--events",
        type=int,
        default=EVENTS,
        help="with --browser: how many of each kind are timed (default %(default)s)",
    )
    parser.add_argument(
        "--backends",
        nargs="*",
        choices=BACKENDS,
        help="measure the same weights on these backends of Keras (default: those installed), in "
        "float32 and bfloat16, on a GPU where there is one, and compare the masks with the CPU's",
    )
    parser.add_argument(
        "--batch-sizes",
        type=int,
        nargs="+",
        default=list(BATCH_SIZES),
        metavar="N",
        help="with --backends: slices in a batch (default: 1 8 32 128)",
    )
    parser.add_argument("--weights", help="folder name in weights/ (default: the best so far)")
    add_engine_argument(parser)
    parser.add_argument(
        "--against-lungmask",
        type=Path,
        metavar="PYTHON",
        help="also time lungmask on the same NIfTI file, in this interpreter that has it",
    )
    parser.add_argument(
        "--lungmask-slices", type=int, default=60, help="how many of them lungmask is given"
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the values as JSON too")


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Measures in fresh processes and prints a row a stage."""
    if options.save is not None:
        check_place(options.save, option="--save")
    if options.all:
        return _run_all(options, progress)
    if options.backends is not None:
        return _run_backends(options, progress)
    if options.browser:
        values = run_browser_benchmark(_parse_size(options.size), progress, events=options.events)
        return Result(_browser_text(values), values)
    size = _parse_size(options.size)
    find_weights(options.weights)  # fails before a scan is generated
    with scan_to_measure(options.input, size, on_progress=progress) as scan:
        values = run_benchmark(
            scan, weights_id=options.weights, engine=options.engine, on_progress=progress
        )
        if options.against_lungmask is not None:
            theirs = time_lungmask(
                options.against_lungmask,
                scan,
                slices=options.lungmask_slices,
                on_progress=progress,
            )
            values["lungmask"] = theirs
            values["times_as_fast"] = _times_as_fast(values, theirs)
    _save(values, options)
    return Result(_text(values), values)


def _run_all(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    if not 2 <= options.batch_scans <= 10_000:
        raise ConfigError(
            "The batch cannot be measured on so many scans",
            got=str(options.batch_scans),
            expected="2 to 10000",
        )
    rows = run_everything(
        lungmask=options.against_lungmask,
        batch_scans=options.batch_scans,
        on_progress=progress,
        keep=lambda rows: _save(_table_values(rows), options),
    )
    return _table_result(rows, options)


def _run_backends(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    if not all(1 <= size <= 1024 for size in options.batch_sizes):
        raise ConfigError(
            "A batch cannot be so large",
            got=", ".join(map(str, options.batch_sizes)),
            expected="1 to 1024 slices",
        )
    size = _parse_size(options.size)
    find_weights(options.weights)  # fails before a scan is generated
    backends = find_backends(tuple(options.backends))
    plan = BackendsPlan(options.weights, backends, tuple(options.batch_sizes))
    with scan_to_measure(options.input, size, on_progress=progress) as scan:
        rows = measure_backends(scan, plan, on_progress=progress)
    return _table_result(rows, options, remark=describe_devices(rows))


def _table_result(rows: list[Row], options: argparse.Namespace, *, remark: str = "") -> Result:
    values = _table_values(rows, remark=remark)
    _save(values, options)
    lines = [_machine_line(values["machine"]), _all_table(rows), remark]
    lines += [f"{row.group}: {row.failure}" for row in rows if row.failure]
    return Result("\n".join(filter(None, lines)), values)


def _table_values(rows: list[Row], *, remark: str = "") -> dict[str, Any]:
    return {
        "machine": describe_machine(),
        "versions": software_versions(),
        "remark": remark,
        "rows": to_json_rows(rows),
    }


def _save(values: dict[str, Any], options: argparse.Namespace) -> None:
    if options.save is not None:
        write_text(options.save, json_text(values) + "\n")


def _all_table(rows: list[Row]) -> str:
    shown = []
    for row in rows:
        bar = "" if row.bar is None else f"{'≤' if row.at_most else '≥'} {row.bar:g} {row.unit}"
        met = {None: "", True: "yes", False: "no"}[row.met]
        value = f"{number_text(row.value, digits=2)} {row.unit}"
        shown.append((row.group, row.what, value, bar, met))
    return table(("part", "measured", "value", "goal", "met"), shown)


def _machine_line(machine: dict[str, Any]) -> str:
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}"
    )


def _times_as_fast(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    pace = theirs["slices_per_second"]
    return {
        "file to masks against its prediction alone": round(ours["slices_per_second"] / pace, 1),
        "prediction against prediction": round(ours["predicted_slices_per_second"] / pace, 1),
    }


def _parse_size(text: str) -> tuple[int, int, int]:
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(re.fullmatch("[0-9]{1,6}", part) for part in parts):
        raise ConfigError("The size cannot be read", got=text[:40], expected="such as 512x512x300")
    columns, rows, slices = map(int, parts)
    return columns, rows, slices


def _text(values: dict[str, Any]) -> str:
    slices = values["shape"][2]
    total = values["seconds_from_start_to_masks"]
    stages = dict(values["seconds"])
    afterwards = stages.pop(AFTER_MASKS)
    stages |= {"start to saved masks": total, f"then {AFTER_MASKS}": afterwards}
    rows = [
        (stage, f"{spent:.2f}", f"{1000 * spent / slices:.1f}") for stage, spent in stages.items()
    ]
    machine = values["machine"]
    lines = [
        f"{size_text(values['shape'])} voxels, weights {values['weights_id']}",
        _machine_line(machine),
        f"engine: {values['device']}",
        table(("stage", "seconds", "ms per slice"), rows),
        f"{values['slices_per_second']:.1f} slices per second from start to saved masks, "
        f"peak memory {_shown_mb(values['peak_memory_mb'])}",
    ]
    if "lungmask" in values:
        lines += ["", *_lungmask_lines(values)]
    return "\n".join(lines)


def _lungmask_lines(values: dict[str, Any]) -> list[str]:
    theirs = values["lungmask"]
    rows = [
        (
            "LungLens: lung and infection, file to saved masks",
            f"{values['slices_per_second']:.2f}",
            _shown_mb(values["peak_memory_mb"]),
            str(values["shape"][2]),
        ),
        (
            f"lungmask {theirs['version']}: lung, prediction alone",
            f"{theirs['slices_per_second']:.2f}",
            _shown_mb(theirs["peak_memory_mb"]),
            str(theirs["slices"]),
        ),
    ]
    ratios = [f"{name}: {ratio:.0f}×" for name, ratio in values["times_as_fast"].items()]
    return [table(("side by side", "slices per second", "peak memory", "slices"), rows), *ratios]


def _shown_mb(value: int | None) -> str:
    return "not known" if value is None else f"{value} MB"


def _browser_text(values: dict[str, Any]) -> str:
    first = values["seconds_from_viewer_to_first_picture"]
    rows = [
        ("page to viewer", f"{values['seconds_to_viewer']:.2f} s"),
        ("page to first picture", f"{values['seconds_to_first_picture']:.2f} s"),
        ("viewer to first picture", f"{first:.2f} s"),
        ("viewer to all slices", f"{values['seconds_from_viewer_to_all_slices']:.2f} s"),
        ("sent, once", f"{values['sent_mb']:.1f} MB"),
    ]
    steps = [
        (f"viewer: {name}", *(f"{spent[key]:.1f}" for key in ("p50_ms", "p95_ms", "frame_p95_ms")))
        for name, spent in values["events"].items()
    ]
    steps += [
        (WIDGETS[kind][0], f"{spent['p50_ms']:.1f}", f"{spent['p95_ms']:.1f}", "")
        for kind, spent in values["widgets"].items()
    ]
    drawn = values["correcting"]
    steps.insert(
        len(values["events"]),
        ("brush stroke", *(f"{drawn[key]:.1f}" for key in ("p50_ms", "p95_ms", "frame_p95_ms"))),
    )
    followed = [
        ("first stroke: tables", f"{drawn['first_figures_s']:.2f} s"),
        ("later strokes: tables, median", f"{drawn['figures_median_s']:.2f} s"),
        ("later strokes: tables, longest", f"{drawn['figures_most_s']:.2f} s"),
        ("later strokes: all, biomarkers included", f"{drawn['everything_median_s']:.2f} s"),
    ]
    return "\n".join(
        [
            f"{size_text(values['shape'])} voxels with masks, headless Chromium",
            table(("opening", "measured"), rows),
            "",
            table(("from event to picture", "p50 ms", "p95 ms", "frames p95 ms"), steps),
            "",
            table(("from release of the brush to the figures", "measured"), followed),
        ]
    )
