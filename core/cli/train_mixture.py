"""Train one network on all sets together; the same command resumes an interrupted run.

Reads every set of the data folder that is there (see core.training.mixture.sources). With --pack
the scans are only written into one small file, which --data takes as well, on a machine without
the data folder.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.cli.terminal import Result, TerminalProgress
from core.cli.training_options import (
    add_run_arguments,
    check_one_of,
    check_stop_after,
    read_training_config,
    run_result,
    with_length,
)
from core.config import MixtureConfig
from core.segmentation import WeightsInfo, check_publish_folder
from core.system import check_place, number_text

EXAMPLES = """examples:
  python -m core train-mixture --data ../shared/data --out runs/fold-1 --hold-out 1
  python -m core train-mixture --data ../shared/data --out runs/all --publish weights/lite-v1
  python -m core train-mixture --data ../shared/data --pack frames.npz
  KERAS_BACKEND=jax python -m core train-mixture --data frames.npz --out runs/all"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `train-mixture`."""
    add_run_arguments(parser, MixtureConfig(), data="the sets")
    parser.add_argument(
        "--config",
        type=Path,
        help="JSON of a mixture config; also the run.json of an earlier run, or the manifest.json "
        "of weights",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        help="as many epochs as fit into this many minutes on this machine, found by a trial",
    )
    parser.add_argument(
        "--stop-after",
        type=int,
        metavar="EPOCHS",
        help="stop early; the same command without it resumes, on the same schedule",
    )
    _add_packing_arguments(parser)
    _add_publishing_arguments(parser)


def _add_packing_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pack", type=Path, metavar="FILE", help="write the scans to this file, and stop"
    )
    parser.add_argument(
        "--most-pixels",
        type=int,
        default=288,
        help="with --pack: longest side of a slice (default %(default)s)",
    )
    parser.add_argument(
        "--quality",
        type=int,
        default=85,
        help="with --pack: of the pictures, 1 to 100 (default %(default)s)",
    )


def _add_publishing_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--publish",
        type=Path,
        help="then write weights/NAME; evaluated on the patients held out where --data is a folder",
    )
    parser.add_argument(
        "--folds",
        type=Path,
        nargs="+",
        default=[],
        metavar="WEIGHTS",
        help="with --publish: evaluated weights of a cross-validation, whose results go into the "
        "card",
    )
    parser.add_argument(
        "--default", action="store_true", help="with --publish: as the default weights"
    )
    parser.add_argument(
        "--evaluate",
        type=Path,
        metavar="WEIGHTS",
        help="train nothing: evaluate weights/NAME on the patients that its run held out",
    )


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Packs, evaluates, or trains and publishes on request."""
    config = with_length(read_training_config(options.config, MixtureConfig), options)
    check_stop_after(options)
    check_one_of(options, "out", "pack", "evaluate")
    if options.pack is not None:
        return _pack(options, config, progress)
    if options.evaluate is not None:
        return _evaluate(options, progress)
    check_place(options.out, option="--out", is_folder=True)
    if options.publish is not None:
        check_publish_folder(options.publish)
    from core.training.mixture.fit import train_mixture
    from core.training.runs import epochs_done

    scans = _scans(options.data, config, progress)
    if options.minutes is not None:
        config = replace(config, epochs=_epochs(options, config, scans))
    paths = train_mixture(
        scans,
        options.out,
        config,
        hold_out=options.hold_out,
        stop_after=options.stop_after,
        on_progress=progress,
    )
    result = run_result(epochs_done(paths), paths.history, options.out)
    if options.publish is None:
        return result
    from core.training.mixture.publishing import publish_mixture

    can_evaluate = options.hold_out is not None and options.data.is_dir()
    info = publish_mixture(
        scans,
        paths,
        options.publish,
        postprocess=config.postprocess,
        data=options.data if can_evaluate else None,
        folds=options.folds,
        is_default=options.default,
        on_progress=progress,
    )
    if can_evaluate:
        return _evaluated(info)
    return Result(f"weights in {options.publish}", {**result.values, "weights_id": info.weights_id})


def _epochs(options: argparse.Namespace, config: MixtureConfig, scans: Any) -> int:
    """As many as fit; of a run that has begun, as many as it was to have."""
    from core.training.mixture.fit import epochs_that_fit
    from core.training.runs import RunPaths, read_record

    paths = RunPaths(options.out)
    if paths.config.is_file():
        return int(read_record(paths.config)["config"]["epochs"])
    seconds = 60.0 * options.minutes
    return epochs_that_fit(scans, config, hold_out=options.hold_out, seconds=seconds)


def _evaluate(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    from core.training.mixture.publishing import evaluate_weights

    return _evaluated(evaluate_weights(options.data, options.evaluate, on_progress=progress))


def _evaluated(info: WeightsInfo) -> Result:
    by_set = info.manifest["validation"]["by_set"]
    lines = [
        f"{source}: lung {number_text(found['lung_dice'])}, "
        f"infection {number_text(found['infection_dice'])}"
        for source, found in by_set.items()
    ]
    return Result("\n".join(lines), {"weights_id": info.weights_id, "by_set": by_set})


def _scans(data: Path, config: MixtureConfig, progress: TerminalProgress) -> Any:
    from core.training.mixture.packing import unpack_scans
    from core.training.mixture.sources import load_labelled_scans

    if data.is_file():
        return unpack_scans(data)
    return load_labelled_scans(data, config.preprocess, on_progress=progress)


def _pack(options: argparse.Namespace, config: MixtureConfig, progress: TerminalProgress) -> Result:
    from core.training.mixture.packing import pack_scans, shrink_scans

    check_place(options.pack, option="--pack", is_folder=False)
    scans = shrink_scans(_scans(options.data, config, progress), most_pixels=options.most_pixels)
    size = pack_scans(scans, options.pack, quality=options.quality)
    slices = sum(len(scan.images) for scan in scans)
    return Result(
        f"{slices} slices of {len(scans)} scans in {options.pack}, {size / 2**20:.1f} MiB",
        {"scans": len(scans), "slices": slices, "bytes": size},
    )
