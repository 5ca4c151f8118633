"""Estimate the five lobes of a lung mask from any program, or of a scan.

Writes labels 1 to 5: right upper, middle and lower, left upper and lower lobe. Of a scan the lung
is marked first. Lobes are estimated from the shape of the lungs alone.
"""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.cli.scan_options import add_scan_arguments, open_scan
from core.cli.terminal import Result, TerminalProgress, ml_text
from core.config import LOBE_LABELS, RESEARCH_NOTE
from core.errors import ConfigError, LoadError, WeightsError
from core.loading import NotLabelsError, load_label_map, recognise
from core.measuring.lobes import Lobes
from core.output import mask_file_notes, save_mask
from core.segmentation.lobes import find_lobes, load_lobe_network
from core.system import check_place, make_folder, refuse_overwriting
from core.volume import BoolArray, Volume

_ENDING = ".nii.gz"

EXAMPLES = """examples:
  python -m core lobes lung_mask.nii.gz -o lobes.nii.gz
  python -m core lobes scan.nii.gz -o lobes.nii.gz --json
  python -m core lobes dicom_folder -o lobes.nii.gz"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lobes`."""
    parser.add_argument(
        "input", type=Path, help="lung mask (any label counts as lung), or a scan as for segment"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="file for the labels, .nii.gz"
    )
    add_scan_arguments(parser)
    parser.add_argument("--weights", help="of the network that marks the lung of a scan")


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Reads the mask or marks the lung, and writes the lobes."""
    if not options.output.name.lower().endswith(_ENDING):
        raise ConfigError(
            "Lobes cannot be written into this file",
            got=f"-o {options.output.name}",
            expected=f"a name that ends in {_ENDING}",
        )
    refuse_overwriting([options.output], [options.input], option="-o")
    make_folder(options.output.parent, option="-o")
    check_place(options.output, option="-o")
    volume, lung = _lung(options, progress)
    progress("estimating lobes", 0, 1)
    started = time.perf_counter()
    with suppress(WeightsError):  # is the reason of `find_lobes`
        load_lobe_network()
    loaded = time.perf_counter()
    lobes = find_lobes(lung, volume)
    ended = time.perf_counter()
    if lobes.labels is None:
        raise LoadError(lobes.reason.rstrip("."))
    save_mask(lobes.labels, volume, options.output)
    values = _values(lobes, volume)
    values["seconds"] = {"load network": loaded - started, "estimate": ended - loaded}
    return Result(_text(values, options.output), values)


def _lung(options: argparse.Namespace, progress: TerminalProgress) -> tuple[Volume, BoolArray]:
    """The mask of a file that holds labels; else the scan, and its lung as the network marks it."""
    if recognise(options.input) == "nifti":
        try:
            volume = load_label_map(options.input)
        except NotLabelsError:
            pass
        else:
            return volume, volume.array > 0
    from core.segmentation import load_segmenter, segment_volume

    study = open_scan(options, progress)
    segmenter = load_segmenter(options.weights)
    masks = segment_volume(study.volume, segmenter, on_progress=progress).masks
    assert masks.lung is not None
    return study.volume, masks.lung


def _values(lobes: Lobes, volume: Volume) -> dict[str, Any]:
    voxels = lobes.voxels()
    values: dict[str, Any] = {
        "note": RESEARCH_NOTE,
        "lobes_note": lobes.note,
        "weights_id": lobes.weights_id,
        "mean_dice": lobes.mean_dice,
        "labels": {name: number for number, name in enumerate(voxels, start=1)},
        "voxels": voxels,
        "warnings": [*volume.warnings, *mask_file_notes(volume)],
    }
    known = not volume.spacing_nominal
    values["volume_ml"] = {
        name: count * volume.voxel_volume_ml if known else None for name, count in voxels.items()
    }
    return values


def _text(values: dict[str, Any], output: Path) -> str:
    lines = [
        f"{label}: "
        + (
            f"{values['voxels'][name]} voxels"
            if values["volume_ml"][name] is None
            else ml_text(values["volume_ml"][name])
        )
        for name, label in LOBE_LABELS.items()
    ]
    lines += [f"note: {warning}" for warning in values["warnings"]]
    return "\n".join([*lines, values["lobes_note"], f"wrote {output}", RESEARCH_NOTE])
