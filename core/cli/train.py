"""Train a U-Net on a folder of cases; an interrupted run is resumed where it stopped."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.cli.terminal import Result, TerminalProgress
from core.cli.training_options import check_stop_after, read_training_config
from core.config import RangeTestConfig, TrainConfig
from core.errors import ConfigError
from core.measuring.quality import Exclusion, read_exclusions
from core.segmentation import check_publish_folder
from core.system import OnProgress, check_place, make_folder, number_text, write_text
from core.training import DEMO_DATA, RunReport, RunRequest, write_request

EXAMPLES = """examples:
  python -m core train --data ../shared/data --out runs/first
  python -m core train --data covid20 --out runs/short --epochs 20 --seed 3
  python -m core train --data ../shared/data --out runs/first --publish weights/my-unet
  python -m core train --data covid20 --out runs/clean --exclude exclude.json
  python -m core train --data demo --out runs/trial --epochs 8
  python -m core train --data ../shared/data --out runs/again --config runs/first/run.json
  python -m core train --data own-cases --out runs/tuned --from-weights lite-v1
  python -m core train --data ../shared/data --out runs/further --init runs/again \\
    --split runs/again/run.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `train`."""
    defaults = TrainConfig()
    parser.add_argument("--data", type=Path, required=True, help=f"folder of cases, or {DEMO_DATA}")
    parser.add_argument("--out", type=Path, required=True, help="run folder; same folder resumes")
    parser.add_argument(
        "--config",
        type=Path,
        help="JSON of a training config to start from; also a run.json or a manifest.json",
    )
    parser.add_argument("--epochs", type=int, help=f"default {defaults.epochs}")
    parser.add_argument(
        "--stop-after",
        type=int,
        metavar="EPOCHS",
        help="stop after this epoch; the same command without it resumes, on the same schedule",
    )
    parser.add_argument(
        "--batch-size", type=int, help=f"slices per step, default {defaults.batch_size}"
    )
    parser.add_argument("--learning-rate", type=float, help=f"default {defaults.learning_rate:g}")
    parser.add_argument(
        "--validation-fraction",
        type=float,
        help=f"share of patients held out for validation, default {defaults.validation_fraction:g}",
    )
    parser.add_argument("--seed", type=int, help=f"default {defaults.seed}")
    parser.add_argument(
        "--split",
        type=Path,
        help="run.json or manifest.json with the training and validation patients to use",
    )
    parser.add_argument(
        "--exclude",
        type=Path,
        help="list of slices and cases to leave out, as the Quality page exports it",
    )
    parser.add_argument(
        "--init", type=Path, help="folder of an earlier run whose best weights to start from"
    )
    parser.add_argument(
        "--from-weights",
        metavar="ID",
        help="fine-tune these weights: their network and preprocessing, a low rate, few epochs",
    )
    parser.add_argument(
        "--freeze-encoder",
        action="store_true",
        help="with --from-weights: the encoder stays as it is",
    )
    parser.add_argument(
        "--find-learning-rate",
        action="store_true",
        help="do not train: try increasing learning rates for a few batches, suggest one and write "
        "learning_rates.csv into --out",
    )
    parser.add_argument(
        "--publish", type=Path, help="then write the best epoch as weights/NAME, with manifest"
    )


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Trains, reports the last and the best epoch, publishes on request."""
    config = _first_config(options)
    changed = {
        name: getattr(options, name)
        for name in ("epochs", "batch_size", "learning_rate", "validation_fraction", "seed")
        if getattr(options, name) is not None
    }
    config = replace(config, **changed)
    check_stop_after(options)
    check_place(options.out, option="--out", is_folder=True)
    if options.publish is not None:
        check_publish_folder(options.publish)
    make_folder(options.out, option="--out folder")
    with RunReport(options.out, publishes=options.publish is not None) as report:
        result = _train(options, config, progress, report)
        report.figures = {name: value for name, value in result.values.items() if name != "rates"}
    return result


def _first_config(options: argparse.Namespace) -> TrainConfig:
    if options.from_weights is None:
        if options.freeze_encoder:
            raise ConfigError(
                "--freeze-encoder needs weights to start from", next_step="add --from-weights"
            )
        return read_training_config(options.config, TrainConfig)
    if options.config is not None or options.init is not None:
        raise ConfigError(
            "--from-weights brings its own settings",
            got="--config" if options.config is not None else "--init",
            next_step="leave it out",
        )
    from core.segmentation import find_weights
    from core.training import fine_tuning_config

    return fine_tuning_config(
        find_weights(options.from_weights), frozen_encoder=options.freeze_encoder
    )


def _train(
    options: argparse.Namespace,
    config: TrainConfig,
    progress: TerminalProgress,
    report: RunReport,
) -> Result:
    from core.training import read_history, read_split, score

    def on_progress(stage: str, done: int, total: int) -> None:
        progress(stage, done, total)
        report(stage, done, total)

    recorded = None if options.split is None else read_split(options.split)
    excluded = () if options.exclude is None else read_exclusions(options.exclude)
    write_request(options.out, _request(options, config, recorded, excluded))
    data = _data_folder(options, on_progress)
    from core.training.fit import train

    if options.find_learning_rate:
        return _find_learning_rate(options, data, config, recorded, excluded, on_progress, report)
    paths = train(
        data,
        options.out,
        config,
        recorded_split=recorded,
        excluded=excluded,
        initial=options.init,
        stop_after=options.stop_after,
        on_progress=on_progress,
        should_cancel=report.should_stop,
    )
    history = read_history(paths.history)
    best = max(history, key=score)
    figures: dict[str, Any] = {"epochs": len(history), "best": best, "last": history[-1]}
    lines = [
        f"{len(history)} epochs; best is epoch {best['epoch']:.0f}: validation lung Dice "
        f"{number_text(best['lung_dice'])}, infection Dice {number_text(best['infection_dice'])}",
        f"history in {paths.history}",
    ]
    if options.publish is not None:
        from core.training.publishing import publish

        progress.clear()
        info = publish(data, paths, options.publish, config, on_progress=on_progress)
        figures["weights_id"] = info.weights_id
        lines.append(f"published as {info.weights_id} in {info.folder}")
    return Result("\n".join(lines), figures)


def _request(
    options: argparse.Namespace,
    config: TrainConfig,
    recorded: dict[str, Any] | None,
    excluded: Sequence[Exclusion],
) -> RunRequest:
    is_demo = options.data == Path(DEMO_DATA)
    return RunRequest(
        data=DEMO_DATA if is_demo else str(options.data.resolve()),
        config=config,
        split=recorded,
        excluded=tuple(excluded),
        initial=None if options.init is None else str(options.init.resolve()),
    )


def _data_folder(options: argparse.Namespace, on_progress: OnProgress) -> Path:
    if options.data != Path(DEMO_DATA):
        folder: Path = options.data
        return folder
    from core.training import write_demo_patients

    # Beside the run, where the next one finds them.
    return write_demo_patients(options.out.parent / "demo-patients", on_progress=on_progress)


def _find_learning_rate(
    options: argparse.Namespace,
    data: Path,
    config: TrainConfig,
    recorded: dict[str, Any] | None,
    excluded: Sequence[Exclusion],
    on_progress: OnProgress,
    report: RunReport,
) -> Result:
    from core.training.lr_range import range_csv, run_range_test

    found = run_range_test(
        data,
        config,
        RangeTestConfig(),
        recorded_split=recorded,
        excluded=excluded,
        on_progress=on_progress,
        should_cancel=report.should_stop,
    )
    place = options.out / "learning_rates.csv"
    write_text(place, range_csv(found))
    advice = (
        "no rate can be suggested: the loss never fell"
        if math.isnan(found.suggestion)
        else f"suggested learning rate: {found.suggestion:.1e}, where the loss falls most steeply"
    )
    return Result(
        f"{advice}\n{len(found.rates)} batches in {place}",
        {"suggestion": found.suggestion, "rates": found.rates.tolist()},
    )
