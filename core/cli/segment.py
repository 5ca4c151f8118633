"""Segment lung and infection in a scan or in pictures, and write masks and measurements.

Scans give lung_mask.nii.gz, infection_mask.nii.gz and metrics.json; pictures give
NAME_lung.png and NAME_infection.png each.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from core.cli.scan_options import add_mask_arguments, add_scan_arguments, open_scan
from core.cli.terminal import Result, TerminalProgress, ml_text
from core.config import (
    CHANNELS,
    RESEARCH_NOTE,
    EngineName,
    PreprocessConfig,
    SegmentConfig,
    preprocess_from_json,
)
from core.errors import ConfigError, LoadError, LungLensError, shown_name
from core.evaluation import AFTER_MASKS, measure
from core.loading import Kind, pictures_in, recognise, tiff_pages
from core.loading.dicom import is_dicom
from core.measuring.biomarkers import compute_biomarkers
from core.output import mask_file_notes, save_mask, save_mask_png
from core.segmentation import (
    Segmentation,
    WeightsInfo,
    find_weights,
    load_segmenter,
    segment_volume,
)
from core.segmentation.engines import ENGINE_VARIABLE, Engine
from core.segmentation.lobes import find_lobes
from core.system import (
    check_place,
    json_text,
    make_folder,
    number_text,
    peak_memory_mb,
    percent_text,
    refuse_overwriting,
    write_text,
)
from core.volume import Study, Volume

_METRICS = "metrics.json"
_SCAN_RESULTS = ("lung_mask.nii.gz", "infection_mask.nii.gz", _METRICS)

EXAMPLES = """examples:
  python -m core segment scan.nii.gz -o result
  python -m core segment dicom_folder -o result --series 1.2.840.113619
  python -m core segment series.zip -o result --infection-threshold 0.4
  python -m core segment scan.nii.gz -o result --preprocess preprocess.json
  python -m core segment pictures_folder -o result"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `segment`."""
    parser.add_argument(
        "input", type=Path, help="NIfTI file, DICOM folder, zip, picture or folder of pictures"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    add_scan_arguments(parser)
    parser.add_argument("--lung-mask", type=Path, help="true lung mask, to compare with")
    parser.add_argument("--infection-mask", type=Path, help="true infection mask, to compare with")
    add_mask_arguments(parser)
    add_segment_arguments(parser)


def add_segment_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that runs the network."""
    parser.add_argument(
        "--weights",
        help="folder name in weights/, or among the published ones of the runs folder (default: "
        "the best so far)",
    )
    add_engine_argument(parser)
    parser.add_argument(
        "--batch-size",
        type=int,
        default=SegmentConfig().batch_size,
        help="slices that the network takes at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--preprocess",
        type=Path,
        help="JSON of preprocessing to use in place of the weights' own, as the Preprocess page "
        "gives it; also a manifest.json",
    )
    parser.add_argument("--lung-threshold", type=float, help="probability, 0 to 1")
    parser.add_argument("--infection-threshold", type=float, help="probability, 0 to 1")


def add_engine_argument(parser: argparse.ArgumentParser) -> None:
    """What computes the network."""
    parser.add_argument(
        "--engine",
        choices=get_args(EngineName),
        help=f"engine that runs the network (default: {ENGINE_VARIABLE}, else auto: a GPU with "
        "Keras, else OpenVINO, else Keras)",
    )


def segment_config(options: argparse.Namespace, info: WeightsInfo) -> SegmentConfig:
    """The config that the weights were evaluated with, changed by what the person passed."""
    chosen = {
        name: getattr(options, name)
        for name in ("lung_threshold", "infection_threshold")
        if getattr(options, name) is not None
    }
    return SegmentConfig(
        weights_id=info.weights_id,
        batch_size=options.batch_size,
        preprocess=_read_preprocess(options.preprocess, info),
        postprocess=replace(info.postprocess, **chosen),
    )


def _read_preprocess(path: Path | None, info: WeightsInfo) -> PreprocessConfig | None:
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The preprocessing settings {shown_name(path)} cannot be read",
            got=(error.strerror if isinstance(error, OSError) else None) or "no text",
            expected="a JSON file",
            next_step="check the path given to --preprocess",
        ) from error
    return preprocess_from_json(text, info.preprocess)


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Opens, segments and writes; pictures one by one, everything else as one scan."""
    kind = recognise(options.input)
    # All that can be refused is refused before minutes are spent on the network.
    config = segment_config(options, find_weights(options.weights))
    if kind == "pictures" and (options.input.is_dir() or tiff_pages(options.input) == 1):
        return _segment_pictures(options, config, progress)
    targets = [options.output / name for name in _SCAN_RESULTS]
    refuse_overwriting(targets, _files_read(options, kind, targets), option="-o")
    output = make_folder(options.output, option="-o")
    for target in targets:
        check_place(target, option="-o")
    started = time.perf_counter()
    # The network is made ready while the scan is read: both take about a second.
    with ThreadPoolExecutor(max_workers=1) as beside:
        network = beside.submit(load_segmenter, options.weights, engine=options.engine)
        study = open_scan(options, progress)
        loaded = time.perf_counter()
        segmenter = network.result()
    ready = time.perf_counter()
    segmentation = segment_volume(study.volume, segmenter, config=config, on_progress=progress)
    written = time.perf_counter()
    _save_scan_masks(study.volume, segmentation, output)
    seconds = {
        "load": loaded - started,
        "start network": ready - loaded,
        **segmentation.seconds,
        "save": time.perf_counter() - written,
    }
    saved = time.perf_counter()
    lobes = find_lobes(segmentation.masks.lung, study.volume)
    biomarkers = compute_biomarkers(
        study.volume, segmentation.masks, lobes=lobes, on_progress=progress
    )
    seconds[AFTER_MASKS] = time.perf_counter() - saved
    values = measure(study, replace(segmentation, seconds=seconds), biomarkers=biomarkers)
    values["warnings"] = [*values["warnings"], *mask_file_notes(study.volume)]
    values["doubts"] = list(segmentation.doubts)
    values["peak_memory_mb"] = peak_memory_mb()
    write_text(output / _METRICS, json_text(values) + "\n")
    return Result(_scan_text(values, output), values)


def _files_read(options: argparse.Namespace, kind: Kind, targets: Sequence[Path]) -> list[Path]:
    """What must not be overwritten: the input, the true masks, and of a folder any target that
    is read as a part of the scan."""
    read = [options.input, *_masks_given(options)]
    if options.input.is_dir():
        below = options.input.resolve()
        read += [
            target
            for target in targets
            if target.exists()
            and below in target.resolve().parents
            and (kind != "dicom" or is_dicom(target))
        ]
    return read


def _masks_given(options: argparse.Namespace) -> list[Path]:
    return [path for path in (options.lung_mask, options.infection_mask) if path is not None]


def _save_scan_masks(volume: Volume, segmentation: Segmentation, output: Path) -> None:
    with ThreadPoolExecutor(max_workers=len(CHANNELS)) as pool:
        saved = [
            pool.submit(
                save_mask,
                getattr(segmentation.masks, channel),
                volume,
                output / f"{channel}_mask.nii.gz",
            )
            for channel in CHANNELS
        ]
    for one in saved:
        one.result()


def _scan_text(values: dict[str, Any], output: Path) -> str:
    # What makes the numbers doubtful stands above them.
    lines = [f"doubtful: {doubt}" for doubt in values["doubts"]]
    lines += [
        f"lung {ml_text(values['lung_volume_ml'])}, "
        f"infection {ml_text(values['infection_volume_ml'])}, "
        f"infected share {percent_text(values['infection_fraction'], digits=2)}",
    ]
    lines += _overlap_lines(values)
    notes = [warning for warning in values["warnings"] if warning not in values["doubts"]]
    lines += [f"note: {warning}" for warning in notes]
    spent = ", ".join(f"{stage} {value:.1f} s" for stage, value in values["seconds"].items())
    lines.append(f"{values['device']}, {values['weights_id']}: {spent}")
    lines.append(f"wrote lung_mask.nii.gz, infection_mask.nii.gz and metrics.json to {output}")
    lines.append(RESEARCH_NOTE)
    return "\n".join(lines)


def _overlap_lines(values: dict[str, Any]) -> list[str]:
    return [
        f"{channel} against truth: "
        + ", ".join(f"{name} {number_text(value)}" for name, value in overlap.items())
        for channel, overlap in values.get("metrics", {}).items()
    ]


def _segment_pictures(
    options: argparse.Namespace, config: SegmentConfig, progress: TerminalProgress
) -> Result:
    paths = _pictures_below(options.input, options.output)
    masks = _masks_given(options)
    _refuse_what_pictures_lack(options, len(paths))
    names = _output_names(paths)
    targets = [
        options.output / f"{name}_{channel}.png" for name in names.values() for channel in CHANNELS
    ]
    refuse_overwriting(targets, [*paths, *masks], option="-o")
    output = make_folder(options.output, option="-o")
    segmenter = load_segmenter(options.weights, engine=options.engine)
    rows: list[dict[str, Any]] = []
    for done, path in enumerate(paths):
        progress("marking pictures", done, len(paths))
        try:
            study = open_scan(_with_own_masks(options, path), progress, path=path)
            values = _segment_picture(study, names[path], output, segmenter, config)
        except LungLensError as error:
            # One broken picture must not cost the others; it is named at the end.
            values = {"error": str(error)}
        rows.append({"picture": shown_name(path), **values})
    failed = [row for row in rows if "error" in row]
    if failed and len(failed) == len(rows):
        raise LoadError(failed[0]["error"].rstrip("."))
    lines = [f"{len(rows) - len(failed)} of {len(rows)} pictures marked, masks in {output}"]
    if len(rows) == 1:
        lines.append(f"infected share {percent_text(rows[0]['infection_fraction'], digits=2)}")
        lines += _overlap_lines(rows[0])
    lines += _notes(rows)
    lines += [f"error: {row['error']}" for row in failed]
    lines.append(RESEARCH_NOTE)
    return Result("\n".join(lines), {"note": RESEARCH_NOTE, "pictures": rows}, failed=bool(failed))


def _notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What there is to know of the pictures, once each, with how many of several it holds for."""
    counts = Counter(warning for row in rows for warning in row.get("warnings", ()))
    return [
        f"note: {warning}" + (f" ({count} of {len(rows)} pictures)" if len(rows) > 1 else "")
        for warning, count in counts.items()
    ]


def _pictures_below(path: Path, output: Path) -> tuple[Path, ...]:
    """The pictures of a folder and its subfolders, less what an earlier run has written below
    it; or the picture itself."""
    if not path.is_dir():
        return (path,)
    found: list[Path] = []
    for parent, subfolders, _ in os.walk(path):
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".")
            and name != "__MACOSX"
            and Path(parent, name).resolve() != output.resolve()
        )
        found += pictures_in(parent)
    if not found:
        raise LoadError(
            f"{shown_name(path)} holds no picture",
            got="none outside the folder of results",
            expected="PNG or JPEG slices",
            next_step="choose the folder that holds them",
        )
    return tuple(found)


def _refuse_what_pictures_lack(options: argparse.Namespace, count: int) -> None:
    if options.series is not None:
        raise ConfigError(
            "Pictures have no series",
            got="--series or --join-series",
            expected="them with DICOM only",
            next_step="leave it out",
        )
    if count > 1 and not all(mask.is_dir() for mask in _masks_given(options)):
        raise ConfigError(
            "True masks cannot be assigned to several pictures",
            got=f"{count} pictures with one file as --lung-mask or --infection-mask",
            expected="a folder with a mask for each picture, of the same name",
            next_step="give the folder of the masks",
        )


def _with_own_masks(options: argparse.Namespace, picture: Path) -> argparse.Namespace:
    """The options for one picture: of a folder of masks, the one of its name.

    Raises:
        LoadError: the folder holds none.
    """
    own = {}
    for role in ("lung_mask", "infection_mask"):
        given = getattr(options, role)
        if given is None or not given.is_dir():
            continue
        masks = {mask.stem.lower(): mask for mask in pictures_in(given)}
        if picture.stem.lower() not in masks:
            raise LoadError(
                f"Folder {shown_name(given)} holds no mask for {shown_name(picture)}",
                got=f"{len(masks)} masks of other names",
                expected="one with the name of the picture",
                next_step="name the mask as its picture",
            )
        own[role] = masks[picture.stem.lower()]
    return argparse.Namespace(**{**vars(options), **own})


def _segment_picture(
    study: Study, name: str, output: Path, segmenter: Engine, config: SegmentConfig
) -> dict[str, Any]:
    if study.volume.shape[2] > 1:
        raise LoadError(
            "The picture holds several pages",
            got=f"{study.volume.shape[2]} pages among other pictures",
            expected="one slice per file",
            next_step="mark this file alone, as a scan",
        )
    segmentation = segment_volume(study.volume, segmenter, config=config)
    for channel in CHANNELS:
        mask = getattr(segmentation.masks, channel)
        save_mask_png(mask[:, :, 0].T, output / f"{name}_{channel}.png")
    return {"masks": name, **measure(study, segmentation)}


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
