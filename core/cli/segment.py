"""Mark lung and infection in a scan or in pictures, and write masks and figures.

Scans give lung_mask.nii.gz, infection_mask.nii.gz and metrics.json; pictures give
NAME_lung.png and NAME_infection.png each.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli.terminal import Result, TerminalProgress, shown_ml, shown_share
from core.config import SegmentConfig
from core.errors import LoadError, LungLensError, shown_name
from core.loading import open_study, recognise
from core.loading.pictures import load_pictures, pictures_in
from core.pipeline import RESEARCH_NOTE, Segmentation, load_segmenter, measure, segment_volume
from core.saving import save_mask, save_mask_png
from core.volume import Study, Volume

if TYPE_CHECKING:
    from core.inference import Segmenter

EXAMPLES = """examples:
  python -m core segment scan.nii.gz -o result
  python -m core segment dicom_folder -o result --series 1.2.840.113619
  python -m core segment series.zip -o result --infection-threshold 0.4
  python -m core segment pictures_folder -o result"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `segment`."""
    parser.add_argument(
        "input", type=Path, help="NIfTI file, DICOM folder, zip, picture or folder of pictures"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--series", help="which DICOM series, where there are several")
    parser.add_argument("--lung-mask", type=Path, help="true lung mask, to compare with")
    parser.add_argument("--infection-mask", type=Path, help="true infection mask, to compare with")
    add_segment_arguments(parser)


def add_segment_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that runs the network."""
    parser.add_argument("--weights", help="folder name in weights/ (default: the best so far)")
    parser.add_argument("--batch-size", type=int, default=SegmentConfig().batch_size)
    parser.add_argument("--lung-threshold", type=float, help="probability, 0 to 1")
    parser.add_argument("--infection-threshold", type=float, help="probability, 0 to 1")


def segment_config(options: argparse.Namespace, segmenter: Segmenter) -> SegmentConfig:
    """The config that the weights were judged with, changed by what the person passed."""
    chosen = {
        name: getattr(options, name)
        for name in ("lung_threshold", "infection_threshold")
        if getattr(options, name) is not None
    }
    return SegmentConfig(
        weights_id=segmenter.weights_id,
        batch_size=options.batch_size,
        postprocess=replace(segmenter.info.postprocess, **chosen),
    )


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Opens, segments and writes; pictures one by one, everything else as one scan."""
    if recognise(options.input) == "pictures":
        return _segment_pictures(options, progress)
    started = time.perf_counter()
    study = open_study(
        options.input,
        series_uid=options.series,
        lung_mask_path=options.lung_mask,
        infection_mask_path=options.infection_mask,
        on_progress=progress,
    )
    loaded = time.perf_counter()
    segmenter = load_segmenter(options.weights)
    ready = time.perf_counter()
    segmentation = segment_volume(
        study.volume, segmenter, config=segment_config(options, segmenter), on_progress=progress
    )
    output = _make_folder(options.output)
    written = time.perf_counter()
    _save_scan_masks(study.volume, segmentation, output)
    seconds = {
        "load": loaded - started,
        "start network": ready - loaded,
        **segmentation.seconds,
        "save": time.perf_counter() - written,
    }
    figures = measure(study, replace(segmentation, seconds=seconds))
    path = output / "metrics.json"
    path.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Result(_scan_text(figures, output), figures)


def _save_scan_masks(volume: Volume, segmentation: Segmentation, output: Path) -> None:
    for channel in ("lung", "infection"):
        mask = getattr(segmentation.masks, channel)
        save_mask(mask, volume, output / f"{channel}_mask.nii.gz")


def _scan_text(figures: dict[str, Any], output: Path) -> str:
    lines = [
        f"lung {shown_ml(figures['lung_volume_ml'])}, "
        f"infection {shown_ml(figures['infection_volume_ml'])}, "
        f"infected share {shown_share(figures['infection_fraction'])}",
    ]
    for channel, overlap in figures.get("metrics", {}).items():
        shown = ", ".join(
            f"{name} {'not defined' if value is None else f'{value:.3f}'}"
            for name, value in overlap.items()
        )
        lines.append(f"{channel} against truth: {shown}")
    lines += [f"note: {warning}" for warning in figures["warnings"]]
    spent = ", ".join(f"{stage} {value:.1f} s" for stage, value in figures["seconds"].items())
    lines.append(f"{figures['device']}, {figures['weights_id']}: {spent}")
    lines.append(f"wrote lung_mask.nii.gz, infection_mask.nii.gz and metrics.json to {output}")
    lines.append(RESEARCH_NOTE)
    return "\n".join(lines)


def _segment_pictures(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    paths = pictures_in(options.input) if options.input.is_dir() else (options.input,)
    names = _output_names(paths)
    segmenter = load_segmenter(options.weights)
    config = segment_config(options, segmenter)
    output = _make_folder(options.output)
    rows: list[dict[str, Any]] = []
    for done, path in enumerate(paths):
        progress("marking pictures", done, len(paths))
        try:
            figures = _segment_picture(path, names[path], output, segmenter, config)
        except LungLensError as error:
            # One broken picture must not cost the others; it is named at the end.
            figures = {"picture": shown_name(path), "error": str(error)}
        rows.append(figures)
    failed = [row for row in rows if "error" in row]
    if failed and len(failed) == len(rows):
        raise LoadError(failed[0]["error"].rstrip("."))
    lines = [f"{len(rows) - len(failed)} of {len(rows)} pictures marked, masks in {output}"]
    lines += [f"error: {row['error']}" for row in failed]
    lines.append(RESEARCH_NOTE)
    return Result("\n".join(lines), {"note": RESEARCH_NOTE, "pictures": rows}, failed=bool(failed))


def _segment_picture(
    path: Path, name: str, output: Path, segmenter: Segmenter, config: SegmentConfig
) -> dict[str, Any]:
    volume = load_pictures([path])
    segmentation = segment_volume(volume, segmenter, config=config)
    for channel in ("lung", "infection"):
        mask = getattr(segmentation.masks, channel)
        save_mask_png(mask[:, :, 0].T, output / f"{name}_{channel}.png")
    figures = measure(Study(volume), segmentation)
    return {"picture": shown_name(path), "masks": name, **figures}


def _output_names(paths: tuple[Path, ...]) -> dict[Path, str]:
    """Stem of each picture; with its ending and a number where two would write the same file."""
    taken: Counter[str] = Counter(path.stem for path in paths)
    names: dict[Path, str] = {}
    used: set[str] = set()
    for path in paths:
        name = path.stem if taken[path.stem] == 1 else path.name.replace(".", "_")
        name = re.sub(r"[\x00-\x1f<>:\"|?*]", "_", name)[:120] or "picture"
        number = 2
        unique = name
        while unique in used:
            unique = f"{name}_{number}"
            number += 1
        used.add(unique)
        names[path] = unique
    return names


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LungLensError(
            "The output folder cannot be made",
            got=error.strerror or type(error).__name__,
            expected="a folder that can be written to",
            next_step="choose another -o",
        ) from error
    return folder
