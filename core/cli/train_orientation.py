"""Fit the weights by which the orientation of chests and of pictures is recognised.

Writes upright_chest.npy (all 24 orientations of a scan, core.loading.upright_chest) and upright.npy
(the four positions of a picture, core.preprocessing.upright).
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.cli.terminal import Result, TerminalProgress
from core.segmentation import find_weights
from core.system import make_folder, number_text, percent_text, write_bytes

EXAMPLES = """examples:
  python -m core train-orientation --data ../shared/data --out runs/orientation
  python -m core train-orientation --data ../shared/data --out runs/orientation --only scans"""

Weights = npt.NDArray[np.float16]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `train-orientation`."""
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--only", choices=("scans", "pictures"), help="one of the two")
    parser.add_argument(
        "--weights", help="network that shows where lung is, for pictures (default: the best)"
    )


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Fits, compares with the weights in use, and writes."""
    out = make_folder(options.out, option="--out")
    fits: dict[str, Callable[..., dict[str, Any]]] = {"scans": _scans, "pictures": _pictures}
    found = {
        name: fit(options, out, progress)
        for name, fit in fits.items()
        if options.only in (None, name)
    }
    lines = [
        f"{name}: {one['count']} fitted, {percent_text(one['right'])} of them right by themselves; "
        f"correlation with the weights in use {number_text(one['correlation'], digits=4)}; "
        f"wrote {one['file']}, which belongs to {one['place']}"
        for name, one in found.items()
    ]
    return Result("\n".join(lines), found)


def _scans(options: argparse.Namespace, out: Path, progress: TerminalProgress) -> dict[str, Any]:
    from core.loading.upright_chest import UPRIGHT, WEIGHTS_FILE, coarse_picture, in_all_turns
    from core.training.upright_chest import fit_upright_chest, read_chests

    chests, patients = read_chests(options.data, on_progress=progress)
    weights = fit_upright_chest(chests, patients, on_progress=progress)
    pictures = [picture for hu in chests if (picture := coarse_picture(hu)) is not None]
    scores = [in_all_turns(picture) @ weights.astype(np.float32) for picture in pictures]
    right = float(np.mean([score.argmax() == UPRIGHT for score in scores]))
    return _written(weights, WEIGHTS_FILE, out, {"count": len(chests), "right": right})


def _pictures(options: argparse.Namespace, out: Path, progress: TerminalProgress) -> dict[str, Any]:
    from core.preprocessing.upright import WEIGHTS_FILE
    from core.segmentation.engines import load_engine
    from core.training.uprightness import LEFT_OUT, fit_uprightness, read_positions

    segmenter = load_engine(find_weights(options.weights))
    positions, sources = read_positions(options.data, segmenter, on_progress=progress)
    positions = positions[np.array(sources) != LEFT_OUT]
    weights = fit_uprightness(positions)
    right = float(np.mean((positions @ weights.astype(np.float32)).argmax(axis=1) == 0))
    return _written(weights, WEIGHTS_FILE, out, {"count": len(positions), "right": right})


def _written(weights: Weights, in_use: Path, out: Path, values: dict[str, Any]) -> dict[str, Any]:
    content = io.BytesIO()
    np.save(content, weights, allow_pickle=False)
    write_bytes(out / in_use.name, content.getvalue())
    used = np.load(in_use, allow_pickle=False).astype(np.float64)
    correlation = float(np.corrcoef(used, weights.astype(np.float64))[0, 1])
    place = "/".join(in_use.parts[-3:])
    return {**values, "correlation": correlation, "file": in_use.name, "place": place}
