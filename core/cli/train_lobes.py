"""Train the network that estimates lobes from the lungs' shape; the same command resumes a run.

Needs the label maps alone, no scan. With --pack they are only written into one small file, which
--data takes as well, on a machine without the data folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from core.cli.terminal import Result, TerminalProgress
from core.cli.training_options import add_run_arguments, check_one_of, run_result, with_length
from core.config import LobeTrainingConfig
from core.errors import ConfigError
from core.system import check_place, number_text

EXAMPLES = r"""examples:
  python -m core train-lobes --data ../shared/data --out runs/lobes-fold-1 --hold-out 1
  python -m core train-lobes --data ../shared/data --out runs/lobes --publish weights/lobes-v1 \
      --folds runs/lobes-fold-1 runs/lobes-fold-2 runs/lobes-fold-3 runs/lobes-fold-4 \
      runs/lobes-fold-5
  python -m core train-lobes --data ../shared/data --pack lobes.npz
  KERAS_BACKEND=jax python -m core train-lobes --data lobes.npz --out runs/lobes"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `train-lobes`."""
    add_run_arguments(parser, LobeTrainingConfig(), data="the label maps")
    parser.add_argument(
        "--pack", type=Path, metavar="FILE", help="write the label maps to this file, and stop"
    )
    parser.add_argument(
        "--publish",
        type=Path,
        help="then write weights/NAME, with what the --folds find; --data is then a folder",
    )
    parser.add_argument(
        "--folds",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="with --publish: finished runs of every fold, with the same settings",
    )


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Packs, or trains."""
    check_one_of(options, "out", "pack")
    from core.training.lobes.sources import load_lungs, pack_lungs

    if options.pack is not None:
        check_place(options.pack, option="--pack", is_folder=False)
        lungs = load_lungs(options.data, on_progress=progress)
        size = pack_lungs(lungs, options.pack)
        return Result(
            f"{len(lungs)} label maps in {options.pack}, {size / 2**20:.1f} MiB",
            {"cases": len(lungs), "bytes": size},
        )
    check_place(options.out, option="--out", is_folder=True)
    config = with_length(LobeTrainingConfig(), options)
    if options.publish is not None:
        _check_publishing(options)
    from core.training.lobes.fit import train_lobes
    from core.training.runs import epochs_done

    lungs = load_lungs(options.data, on_progress=progress)
    paths = train_lobes(lungs, options.out, config, hold_out=options.hold_out, on_progress=progress)
    result = run_result(epochs_done(paths), paths.history, options.out)
    if options.publish is None:
        return result
    from core.training.lobes.publishing import publish_lobes

    info = publish_lobes(
        lungs,
        paths,
        options.publish,
        data=options.data,
        folds=options.folds,
        on_progress=progress,
    )
    text = f"weights in {options.publish}, mean Dice {number_text(info.mean_dice)}"
    return Result(text, {**result.values, "validation": info.manifest["validation"]})


def _check_publishing(options: argparse.Namespace) -> None:
    """Refuses, before time is spent, what cannot be published."""
    from core.segmentation import check_publish_folder

    check_publish_folder(options.publish)
    if options.hold_out is not None or not options.data.is_dir() or not options.folds:
        raise ConfigError(
            "These weights cannot be published",
            got="--hold-out, a packed file as --data, or no --folds",
            expected="a run on all patients, the folder of the label maps, and the runs of all "
            "folds",
        )
