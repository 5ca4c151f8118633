"""Compare predictions with truth, case by case, as a table and CSV.

Cases that the weights were trained on are marked "training" and have a mean of their own. With
--folds networks are trained in cross-validation by patient instead.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli.scan_options import add_window_argument, given_window
from core.cli.segment import add_segment_arguments, segment_config
from core.cli.terminal import Result, TerminalProgress, table
from core.cli.training_options import check_stop_after, read_training_config
from core.config import CHANNELS, EvaluateConfig, TrainConfig
from core.errors import ConfigError, DatasetError, shown_name
from core.evaluation import (
    FEW_SLICES,
    CaseResult,
    bootstrap_intervals,
    evaluate_cases,
    load_prediction,
    mean_values,
    results_csv,
)
from core.loading import Case, load_case_table
from core.measuring.quality import read_exclusions
from core.segmentation import check_publish_folder, find_weights, load_segmenter, segment_volume
from core.system import check_place, number_text, percent_text, refuse_overwriting, write_text
from core.volume import MaskPair, Study

if TYPE_CHECKING:
    from core.training.crossval_results import CrossValidation

_SEED = 0
"""Of the bootstrap, so that a table can be repeated."""

_OF_TRAINED_WEIGHTS = ("weights", "engine", "preprocess", "lung_threshold", "infection_threshold")
"""Options that do not apply where networks are yet to be trained."""

EXAMPLES = """examples:
  python -m core evaluate covid20
  python -m core evaluate covid20 --cases coronacases_org_001 coronacases_org_007
  python -m core evaluate covid20 --predictions results --csv table.csv
  python -m core evaluate ../shared/data --folds 3 --out runs/folds   # hours; resumes"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `evaluate`."""
    parser.add_argument("data", type=Path, help="folder of cases with truth masks")
    parser.add_argument("--cases", nargs="+", help="only these case ids")
    parser.add_argument(
        "--predictions",
        type=Path,
        help="folder with CASE_ID/lung_mask.nii.gz and so on, instead of running the network",
    )
    parser.add_argument("--csv", type=Path, help="also write the table here")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=EvaluateConfig().surface_tolerance_mm,
        metavar="MM",
        help="surfaces this close count as the same in surface Dice (default %(default)g mm)",
    )
    parser.add_argument(
        "--folds",
        type=int,
        help="train this many networks, each validated on the patients it is not trained on",
    )
    parser.add_argument(
        "--out", type=Path, help="with --folds: folder for the runs; the same folder resumes"
    )
    parser.add_argument(
        "--config", type=Path, help="with --folds: JSON of a training config, as for train"
    )
    parser.add_argument(
        "--exclude",
        type=Path,
        help="with --folds: JSON list of slices and cases to leave out, as for train",
    )
    parser.add_argument(
        "--init",
        type=Path,
        help="with --folds: folder of an earlier cross-validation, whose networks to start from",
    )
    parser.add_argument(
        "--stop-after",
        type=int,
        metavar="EPOCHS",
        help="with --folds: stop each network after this epoch, on the schedule of the whole run",
    )
    parser.add_argument(
        "--publish",
        type=Path,
        help="with --folds: then write the mean of all networks as weights/NAME, with manifest",
    )
    add_window_argument(parser)
    add_segment_arguments(parser)


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Predicts or reads predictions, compares, and lists cases and means."""
    for folder in (options.data, options.predictions):
        if folder is not None and not os.path.exists(folder):
            raise DatasetError(
                f"{shown_name(folder)} is not there",
                got="no such folder",
                expected="a folder of cases",
                next_step="check the path",
            )
    if options.folds is not None:
        return _run_folds(options, progress)
    for option in ("out", "config", "exclude", "init", "stop_after", "publish"):
        if getattr(options, option) is not None:
            raise ConfigError(
                "Only cross-validation trains",
                got=f"--{option.replace('_', '-')} without --folds",
                expected="both",
            )
    settings = EvaluateConfig(surface_tolerance_mm=options.tolerance)
    window = given_window(options)
    cases = _chosen(load_case_table(options.data), options.cases)
    if options.csv is not None:
        files = [
            path
            for case in cases
            for path in (case.scan_path, case.lung_path, case.infection_path, case.label_path)
            if path is not None
        ]
        tables = options.data.glob("**/metadata.csv")
        refuse_overwriting([options.csv], [*files, *tables], option="--csv")
        check_place(options.csv, option="--csv")
    if options.predictions is not None:

        def predict(case: Case, study: Study) -> MaskPair:
            return load_prediction(options.predictions, case, study)

        results = evaluate_cases(
            cases, predict, config=settings, window=window, on_progress=progress
        )
    else:
        config = segment_config(options, find_weights(options.weights))
        segmenter = load_segmenter(options.weights, engine=options.engine)

        def predict(case: Case, study: Study) -> MaskPair:
            return segment_volume(study.volume, segmenter, config=config).masks

        results = evaluate_cases(
            cases,
            predict,
            info=segmenter.info,
            config=settings,
            window=window,
            on_progress=progress,
        )
    progress.clear()
    if options.csv is not None:
        write_text(options.csv, results_csv(results))
    return Result(_text(results), _values(results))


def _run_folds(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    _check_fold_options(options)
    config = read_training_config(options.config, TrainConfig)
    excluded = () if options.exclude is None else read_exclusions(options.exclude)
    # Imported here: they bring Keras along, which the other ways do not need.
    from core.training.crossval import cross_validate
    from core.training.publishing import publish_ensemble

    found = cross_validate(
        options.data,
        options.out,
        config,
        folds=options.folds,
        excluded=excluded,
        initial=options.init,
        stop_after=options.stop_after,
        on_progress=progress,
    )
    if options.publish is not None:
        publish_ensemble(
            options.data,
            options.out,
            options.publish,
            config,
            found,
            folds=options.folds,
            excluded=excluded,
        )
    progress.clear()
    if options.csv is not None:
        write_text(options.csv, results_csv(found.results))
    return _folds_result(found)


def _check_fold_options(options: argparse.Namespace) -> None:
    """Refuses what does not fit cross-validation, before hours are spent.

    Raises:
        ConfigError, SaveError, WeightsError: see the messages.
    """
    if not 2 <= options.folds <= 20 or options.out is None:
        raise ConfigError(
            "Cross-validation cannot start",
            got=f"--folds {options.folds}{'' if options.out else ' and no --out'}",
            expected="2 to 20 folds and a folder for the runs",
        )
    check_stop_after(options)
    ignored = [
        option
        for option in ("cases", "predictions", "window", *_OF_TRAINED_WEIGHTS)
        if getattr(options, option) is not None
    ]
    if ignored:
        raise ConfigError(
            "Cross-validation trains its own networks and uses every case",
            got=f"--{ignored[0].replace('_', '-')}",
            expected="settings in the file given to --config",
            next_step="leave it out",
        )
    check_place(options.out, option="--out", is_folder=True)
    if options.csv is not None:
        check_place(options.csv, option="--csv")
    if options.publish is not None:
        check_publish_folder(options.publish)


def _folds_result(found: CrossValidation) -> Result:
    extras = {
        "MedSeg pictures, mean infection Dice": number_text(found.picture_infection_dice),
        "infection-free slices, infected share by fold": _shares(found.negative_shares),
        "healthy chest, infected share by fold": _shares(found.healthy_shares),
    }
    long_scans = [result for result in found.results if result.slices > FEW_SLICES]
    means = mean_values(long_scans)
    lines = [
        _text(found.results),
        f"of those with more than {FEW_SLICES} slices: lung Dice "
        f"{number_text(means['lung_dice'])}, infection Dice "
        f"{number_text(means['infection_dice'])}",
        *(f"{name}: {value}" for name, value in extras.items()),
    ]
    return Result(
        "\n".join(lines),
        {
            **_values(found.results),
            "picture_infection_dice": found.picture_infection_dice,
            "negative_shares": list(found.negative_shares),
            "healthy_shares": list(found.healthy_shares),
        },
    )


def _shares(values: Sequence[float]) -> str:
    return ", ".join(percent_text(value, digits=2) for value in values)


def _chosen(cases: Sequence[Case], wanted: Sequence[str] | None) -> tuple[Case, ...]:
    with_truth = [
        case for case in cases if case.lung_path or case.infection_path or case.label_path
    ]
    if wanted is not None:
        unknown = sorted(set(wanted) - {case.case_id for case in with_truth})
        if unknown:
            raise DatasetError(
                "There is no such case with truth",
                got=", ".join(map(shown_name, unknown)),
                expected="ids from the case table",
                next_step="run without --cases to see them all",
            )
        with_truth = [case for case in with_truth if case.case_id in set(wanted)]
    if not with_truth:
        raise DatasetError(
            "No case to compare", got="a folder without truth masks", expected="cases with masks"
        )
    return tuple(with_truth)


def _text(results: Sequence[CaseResult]) -> str:
    header = (
        "case",
        "side",
        "slices",
        "lung Dice",
        "HD95 mm",
        "inf. Dice",
        "IoU",
        "precision",
        "recall",
        "HD95 mm",
        "surface Dice",
        "share true",
        "share pred.",
    )
    rows = [
        (
            shown_name(result.case_id),
            result.side,
            str(result.slices),
            number_text(result.lung.dice),
            number_text(result.lung_surfaces.hd95_mm, digits=1),
            number_text(result.infection.dice),
            number_text(result.infection.iou),
            number_text(result.infection.precision),
            number_text(result.infection.recall),
            number_text(result.infection_surfaces.hd95_mm, digits=1),
            number_text(result.infection_surfaces.surface_dice),
            percent_text(result.infection_fraction_true, digits=2),
            percent_text(result.infection_fraction_pred, digits=2),
        )
        for result in results
    ]
    lines = [table(header, rows), ""]
    for side, cases in _sides(results).items():
        means, intervals = mean_values(cases), bootstrap_intervals(cases, seed=_SEED)
        count = len({result.patient_id for result in cases})
        shown = ", ".join(
            f"{channel} Dice {_with_interval(means, intervals, f'{channel}_dice')}"
            for channel in CHANNELS
        )
        lines.append(f"mean over {count} {side} patient{'s' if count != 1 else ''}: {shown}")
    return "\n".join(lines)


def _with_interval(
    means: dict[str, float], intervals: dict[str, tuple[float, float]], name: str
) -> str:
    low, high = intervals[name]
    if math.isnan(low):
        return number_text(means[name])
    return f"{number_text(means[name])} (95\u2009% {number_text(low)} to {number_text(high)})"


def _sides(results: Sequence[CaseResult]) -> dict[str, list[CaseResult]]:
    sides: dict[str, list[CaseResult]] = {}
    for result in results:
        sides.setdefault(result.side, []).append(result)
    return sides


def _values(results: Sequence[CaseResult]) -> dict[str, Any]:
    return {
        "cases": [result.to_row() for result in results],
        "mean": {side: mean_values(cases) for side, cases in _sides(results).items()},
        "interval95": {
            side: bootstrap_intervals(cases, seed=_SEED) for side, cases in _sides(results).items()
        },
    }
