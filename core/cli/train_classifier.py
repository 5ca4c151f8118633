"""Train the slice classifier in three steps: pack pictures, train networks, publish one.

  --pack     segments the pictures of covid_ct_ucsd/ and sars_cov_2_ct/ into one file
  --learn    trains the networks of the plan from that file; called again, it resumes
  --publish  calibrates what was trained on held-out pictures and scans, and publishes it

--table prints the results on every set, of every way of training and of the baselines.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from core.cli.terminal import Result, TerminalProgress
from core.errors import ConfigError
from core.segmentation import MANIFEST_NAME, WeightsInfo, check_publish_folder, find_weights
from core.segmentation.weights import read_manifest
from core.system import check_place, percent_text

EXAMPLES = """examples:
  python -m core train-classifier --data ../shared/data --pack pictures.npz
  python -m core train-classifier --learn pictures.npz --out runs/classifier
  python -m core train-classifier --table runs/classifier --packed pictures.npz
  python -m core train-classifier --data ../shared/data --packed pictures.npz \\
    --runs runs/classifier --fold runs/published/lite-v1-fold-1 --publish weights/classifier-v3"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `train-classifier`."""
    step = parser.add_mutually_exclusive_group(required=True)
    step.add_argument("--pack", type=Path, metavar="FILE", help="write the packed pictures")
    step.add_argument("--learn", type=Path, metavar="FILE", help="train from packed pictures")
    step.add_argument(
        "--upright", action="store_true", help="fit the quick check for upright pictures"
    )
    step.add_argument("--publish", type=Path, help="write weights/NAME with manifest and card")
    step.add_argument(
        "--table", type=Path, metavar="RUNS", help="every set, way of training and baseline"
    )
    parser.add_argument("--packed", type=Path, help="packed pictures, of --publish and --table")
    parser.add_argument("--runs", type=Path, help="folder of --learn, of --publish")
    parser.add_argument(
        "--fold",
        type=Path,
        action="append",
        default=[],
        help="weights folder of a segmentation network that has held out patients, of --publish",
    )
    parser.add_argument(
        "--variant", default="both", help="of the networks to publish (default %(default)s)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="whose mean is published")
    parser.add_argument("--data", type=Path, help="folder with the sets")
    parser.add_argument(
        "--weights",
        help="segmentation weights to start from, a name or a folder (default: the best)",
    )
    parser.add_argument("--out", type=Path, help="folder for what is trained")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="of --learn: networks of the plan (default: all)"
    )


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Runs one of the three steps."""
    if options.pack is not None:
        return _pack(options, progress)
    if options.learn is not None:
        return _learn(options, progress)
    if options.upright:
        return _upright(options)
    if options.table is not None:
        return _table(options)
    return _publish(options, progress)


def _pack(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    from core.classification.config import ClassifierModelConfig
    from core.classification.learning.data import list_labelled
    from core.classification.learning.pack import build_pictures, write_pack
    from core.segmentation.engines import default_engine, load_engine

    check_place(options.pack, option="--pack")
    labelled = list_labelled(_need(options.data, "--data"))
    segmenter = load_engine(_segmentation(options), default_engine())
    pictures = build_pictures(labelled, segmenter, ClassifierModelConfig(), on_progress=progress)
    write_pack(options.pack, pictures)
    return Result(f"{len(labelled)} pictures in {options.pack}", {"pictures": len(labelled)})


def _learn(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    from core.classification.learning.config import LearnConfig
    from core.classification.learning.learn import learn
    from core.classification.learning.pack import read_pack
    from core.classification.learning.plan import plan_jobs

    out = _need(options.out, "--out")
    check_place(out, option="--out", is_folder=True)
    jobs = [one for one in plan_jobs() if options.only is None or one.name in options.only]
    lines = learn(
        read_pack(options.learn),
        out,
        jobs,
        LearnConfig(),
        start=_segmentation(options),
        on_progress=progress,
    )
    return Result("\n".join(lines), {"networks": lines})


def _upright(options: argparse.Namespace) -> Result:
    from core.classification.learning.upright import fit_upright
    from core.segmentation.upright_look import WEIGHTS_PLACE

    held_out = fit_upright(_need(options.data, "--data"), WEIGHTS_PLACE)
    lines = [
        f"{source}: {found['pictures']} pictures, of which {percent_text(found['surely upright'])} "
        f"are clearly upright; {percent_text(found['turned, taken for upright'])} of their rotated "
        "copies are taken for upright"
        for source, found in held_out.items()
    ]
    return Result("\n".join(lines), held_out)


def _table(options: argparse.Namespace) -> Result:
    import numpy as np

    from core.classification.learning.evaluation import BOTH, Opinion, results_table
    from core.classification.learning.pack import read_pack
    from core.classification.learning.publish import table_lines
    from core.classification.learning.results import read_networks

    networks = read_networks(options.table)
    chosen = [
        one
        for one in networks
        if one.variant == options.variant
        and one.trained == BOTH
        and not one.all_sides
        and one.seed in options.seeds
    ]
    logits = np.mean([one.logits for one in chosen], axis=0)
    table = results_table(
        read_pack(_need(options.packed, "--packed")),
        networks,
        Opinion("mean of the seeds' predictions", BOTH, logits),
    )
    return Result("\n".join(table_lines(table)), table)


def _publish(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    from core.classification.learning.assemble import assemble
    from core.classification.learning.networks import network_of
    from core.classification.learning.out_of_distribution import collect_others
    from core.classification.learning.pack import read_pack
    from core.classification.learning.publish import (
        Recipe,
        publish_classifier,
        table_lines,
    )
    from core.classification.learning.results import read_averaged, read_networks
    from core.classification.learning.scans import collect_scans
    from core.segmentation.engines import default_engine, load_engine

    check_publish_folder(options.publish)
    runs, data = _need(options.runs, "--runs"), _need(options.data, "--data")
    networks = read_networks(runs)
    chosen = [
        one
        for one in networks
        if one.variant == options.variant and one.all_sides and one.seed in options.seeds
    ]
    model = chosen[0].model
    segmentation = _segmentation(options)
    arrays = read_averaged(runs, options.variant, "all", options.seeds)
    trained = assemble(
        read_pack(_need(options.packed, "--packed")),
        networks,
        model=model,
        measured=network_of(read_averaged(runs, options.variant, "train", options.seeds), model),
        shipped=network_of(arrays, model),
        scans=collect_scans(data, options.fold, model, on_progress=progress),
        others=collect_others(data, load_engine(segmentation, default_engine()), model),
    )
    published = publish_classifier(
        arrays,
        trained,
        options.publish,
        model=model,
        segmentation=segmentation,
        recipe=Recipe(
            variant=options.variant,
            seeds=tuple(options.seeds),
            start=str(chosen[0].facts.get("start", segmentation.weights_id)),
            steps=tuple(int(one.facts["steps"]) for one in chosen),
            batch_size=int(chosen[0].facts["config"]["batch_size"]),
            command=_command(options),
        ),
    )
    lines = [*table_lines(trained.record["results"]), f"published as {published.weights_id}"]
    return Result("\n".join(lines), trained.record)


def _command(options: argparse.Namespace) -> str:
    """The command as it can be given again, without the places of this machine."""
    words = ["python", "-m", "core", "train-classifier", "--data", "../shared/data"]
    words += ["--packed", options.packed.name, "--runs", f"runs/{options.runs.name}"]
    for fold in options.fold:
        words += ["--fold", f"runs/published/{fold.name}"]
    words += ["--variant", options.variant, "--seeds", *map(str, options.seeds)]
    words += ["--publish", f"weights/{options.publish.name}"]
    return shlex.join(words)


def _segmentation(options: argparse.Namespace) -> WeightsInfo:
    """Weights by the name of a folder in weights/, or by the path of one."""
    if options.weights is not None and Path(options.weights, MANIFEST_NAME).is_file():
        return read_manifest(Path(options.weights))
    return find_weights(options.weights)


def _need(value: Path | None, option: str) -> Path:
    if value is None:
        raise ConfigError("An option is missing", got=f"no {option}", expected=option)
    return value
