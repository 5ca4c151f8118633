"""Train a slice classifier from the segmentation weights and pictures of known class.

Reads covid_ct_ucsd/ and sars_cov_2_ct/ of the data folder. Features are kept in --out, so that
the same command resumes where it was stopped.
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.classification.config import ClassifierModelConfig
from core.classification.info import ClassifierInfo, find_classifier
from core.cli.terminal import Result, TerminalProgress
from core.errors import ConfigError
from core.segmentation import WeightsInfo, check_publish_folder, find_weights
from core.system import check_place, make_folder, number_text

if TYPE_CHECKING:
    from core.classification.train import ClassifierTrainConfig
    from core.segmentation.engines.openvino_maps import OpenVinoMaps

EXAMPLES = """examples:
  python -m core train-classifier --data ../shared/data --out runs/classifier
  python -m core train-classifier --data ../shared/data --out runs/classifier \\
    --publish weights/my-classifier
  python -m core train-classifier --data ../shared/data --out runs/no-masks --no-masks"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `train-classifier`."""
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets")
    parser.add_argument("--out", type=Path, required=True, help="run folder; same folder resumes")
    parser.add_argument("--weights", help="segmentation weights to start from (default: the best)")
    parser.add_argument(
        "--side",
        type=int,
        default=ClassifierModelConfig().side,
        help="rows and columns of the input (default %(default)s)",
    )
    parser.add_argument(
        "--no-masks", action="store_true", help="do not pool features over predicted masks"
    )
    parser.add_argument(
        "--random-encoder",
        "--from-chance",  # its name in 0.1.0
        action="store_true",
        help="a random encoder in place of that of the segmentation weights",
    )
    parser.add_argument(
        "--encoder",
        metavar="CLASSIFIER",
        help="keep the encoder of a classifier in weights/, and its size; masks still come from "
        "the segmentation weights",
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--publish", type=Path, help="then write weights/NAME with manifest and card"
    )


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Computes features, fits, validates, publishes on request."""
    check_place(options.out, option="--out", is_folder=True)
    if options.publish is not None:
        check_publish_folder(options.publish)
    make_folder(options.out, option="--out folder")
    if options.encoder is not None and options.random_encoder:
        raise ConfigError(
            "There is no encoder to keep",
            got="--encoder with --random-encoder",
            expected="one of them",
        )
    # Imported here: what needs Keras takes seconds.
    from core.classification.publish import publish_classifier
    from core.classification.train import fit_classifier, load_features, load_out_of_distribution
    from core.segmentation import load_segmenter

    info = find_weights(options.weights)
    kept = None if options.encoder is None else find_classifier(options.encoder)
    config = _classifier_config(options, info, kept)
    encoder, maps, random = _encoders(config, info, kept)
    segmenter = load_segmenter(info.weights_id)
    features = load_features(
        options.data,
        options.out,
        config,
        maps,
        segmenter,
        random=random if config.transfer else None,
        on_progress=progress,
    )
    other = load_out_of_distribution(options.data, options.out, config, maps, segmenter)
    trained = fit_classifier(features, other, config)
    record: dict[str, Any] = dict(trained.record)
    lines = [
        f"{name}: AUC {number_text(found['auc'])}, accuracy {number_text(found['accuracy'])}"
        for name, found in record["results"].items()
    ]
    lines.append(f"temperature {trained.temperature:.3f}")
    if options.publish is not None:
        published = publish_classifier(
            encoder, trained, options.publish, config, segmentation=info, command=_command(options)
        )
        record["weights_id"] = published.weights_id
        lines.append(f"published as {published.weights_id} in {published.folder}")
    return Result("\n".join(lines), record)


def _classifier_config(
    options: argparse.Namespace, info: WeightsInfo, kept: ClassifierInfo | None
) -> ClassifierTrainConfig:
    from core.classification.train import ClassifierTrainConfig

    if kept is None and not options.random_encoder and info.model.encoder != "plain":
        raise ConfigError(
            "The classifier cannot take over the encoder of these weights",
            got=f"{info.weights_id} with an EfficientNet encoder",
            expected="a U-Net with an encoder of its own",
            next_step="pass --encoder with the name of a classifier, whose encoder is kept",
        )
    shape = info.model if kept is None else kept.model
    return ClassifierTrainConfig(
        model=ClassifierModelConfig(
            side=options.side,
            depth=shape.depth,
            width=shape.width,
            max_filters=shape.max_filters,
            with_masks=not options.no_masks,
        ),
        transfer=not options.random_encoder,
        encoder_of=info.weights_id if kept is None else kept.encoder_id,
        seed=options.seed,
    )


def _encoders(
    config: ClassifierTrainConfig, info: WeightsInfo, kept: ClassifierInfo | None
) -> tuple[Any, OpenVinoMaps, OpenVinoMaps]:
    """The encoder's Keras model, the same ready to give its maps, and a random one likewise."""
    import numpy as np

    from core.classification.network import keep_encoder, start_encoder
    from core.classification.train import build_maps
    from core.segmentation import describe_graph

    if kept is not None and config.transfer:
        encoder = keep_encoder(replace(kept, model=config.model))
    else:
        encoder = start_encoder(config.model, info if config.transfer else None, seed=config.seed)
    random = start_encoder(config.model, None, seed=config.seed)
    maps, random_maps = (
        build_maps(
            describe_graph(one),
            {variable.path: np.asarray(variable) for variable in one.weights},
            config.model,
        )
        for one in (encoder, random)
    )
    return encoder, maps, random_maps


def _command(options: argparse.Namespace) -> str:
    """The command as it can be given again, without the places of this machine."""
    words = ["python", "-m", "core", "train-classifier", "--data", "../shared/data", "--out"]
    words.append(f"runs/{options.out.name}")
    for option in ("weights", "encoder"):
        if getattr(options, option):
            words += [f"--{option}", getattr(options, option)]
    if options.side != ClassifierModelConfig().side:
        words += ["--side", str(options.side)]
    for flag, is_set in (
        ("--no-masks", options.no_masks),
        ("--random-encoder", options.random_encoder),
    ):
        words += [flag] if is_set else []
    if options.publish is not None:
        words += ["--publish", f"weights/{options.publish.name}"]
    return shlex.join(words)
