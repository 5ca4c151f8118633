"""From a run on all sets to weights that others can load; written, evaluated and put in place as in
`core.training.publishing`."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.config import PostprocessConfig
from core.errors import DatasetError, shown_name
from core.segmentation import (
    CARD_NAME,
    WeightsInfo,
    add_to_manifest,
    check_publish_folder,
    read_manifest,
    save_weights,
    segment_volume,
    stage_weights,
)
from core.segmentation.cards import render_card
from core.segmentation.engines import default_engine, load_engine
from core.system import OnProgress, ignore_progress, without_nan, write_text
from core.training.cards import LICENCES
from core.training.mixture.evaluating import (
    ScanEvaluation,
    evaluate_scans,
    from_rows,
    summarize,
    to_rows,
)
from core.training.mixture.fit import load_mixture_network
from core.training.mixture.sources import VOLUME_SOURCES, LabelledScan
from core.training.publishing import load_staged
from core.training.runs import RunPaths, read_record

_ENCODER_LICENCE = (
    "The encoder started from arrays under Apache-2.0 (see weights/encoder-{encoder})."
)
_ROLES = {"pictures": "picture", "reviewed": "negative", "unreviewed": "negative"}


def publish_mixture(
    scans: Sequence[LabelledScan],
    paths: RunPaths,
    folder: Path,
    *,
    postprocess: PostprocessConfig,
    data: Path | None = None,
    folds: Sequence[Path] = (),
    is_default: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> WeightsInfo:
    """Publishes the running mean of a run.

    Args:
        scans: all that the run had, those held out among them.
        folder: such as `weights/NAME`.
        postprocess: what the weights are to be used with.
        data: folder of the sets, to evaluate the weights on the patients that the run held out;
            none leaves that to `evaluate_weights`.
        folds: weights of a cross-validation with the same settings, whose evaluations together
            go into the card of this network.

    Raises:
        WeightsError, SaveError: see `core.segmentation.weights_store.stage_weights`.
        DatasetError: the run is damaged, or weights of a fold were not evaluated.
    """
    with stage_weights(folder, check=load_staged) as staged:
        model, config = load_mixture_network(paths)
        record = read_record(paths.config)
        held_out = _ids(record["split"]["held_out"])
        encoder_licence = _ENCODER_LICENCE.format(encoder=config.model.encoder)
        entries: dict[str, Any] = {
            "training": {**record["config"], "kind": "mixture"},
            "sets": record["split"],
            "split": _by_patient(scans, held_out),
            "versions": record["versions"],
            "licence": f"{LICENCES['public']} {encoder_licence}",
        }
        if folds:
            entries["cross_validation"] = _join_folds(folds)
        info = save_weights(
            model,
            staged,
            title="U-Net on EfficientNet-Lite for lung and infection",
            model_config=config.model,
            preprocess=config.preprocess,
            postprocess=postprocess,
            record=entries,
            is_default=is_default,
        )
        _finish(staged, {} if data is None else _evaluation(info, data, on_progress))
    return read_manifest(folder)


def evaluate_weights(
    data: Path, folder: Path, *, on_progress: OnProgress = ignore_progress
) -> WeightsInfo:
    """Evaluates published weights on the patients that their run held out, and adds the results to
    manifest and card.

    Args:
        data: folder of the sets.

    Raises:
        WeightsError, SaveError: see `core.segmentation.weights_store.stage_weights`.
    """
    check_publish_folder(folder, option="--evaluate")
    facts = _evaluation(read_manifest(folder), data, on_progress)
    with stage_weights(folder, check=load_staged) as staged:
        shutil.copytree(folder, staged, dirs_exist_ok=True)
        _finish(staged, facts)
    return read_manifest(folder)


def _evaluation(info: WeightsInfo, data: Path, on_progress: OnProgress) -> dict[str, Any]:
    engine = load_engine(info, default_engine())
    found = evaluate_scans(
        data,
        lambda volume: segment_volume(volume, engine).masks,
        _ids(info.manifest["sets"]["held_out"]),
        on_progress=on_progress,
    )
    return {"validation": without_nan({"scans": to_rows(found), "by_set": summarize(found)})}


def _finish(staged: Path, facts: dict[str, Any]) -> None:
    add_to_manifest(staged, facts)
    write_text(staged / CARD_NAME, build_mixture_card(read_manifest(staged)))


def _join_folds(folds: Sequence[Path]) -> dict[str, Any]:
    """The evaluations of several folds as one: every scan by the network that was not trained
    on its patient. Of single slices only the sums are kept."""
    found: list[ScanEvaluation] = []
    runs = []
    for folder in folds:
        manifest = read_manifest(folder).manifest
        if "validation" not in manifest:
            raise DatasetError(
                "Weights of a fold have not been evaluated",
                got=shown_name(folder),
                expected="weights that 'train-mixture --evaluate' has been run on",
            )
        found += from_rows(manifest["validation"]["scans"])
        training = manifest["training"]
        steps = training["epochs"] * training["steps_per_epoch"]
        runs.append({"steps": steps, "batch_size": training["batch_size"]})
    volumes = [scan for scan in found if scan.source in VOLUME_SOURCES]
    return without_nan({"scans": to_rows(volumes), "by_set": summarize(found), "folds": runs})


def _ids(by_source: Mapping[str, Sequence[str]]) -> set[str]:
    return {scan_id for ids in by_source.values() for scan_id in ids}


def _by_patient(
    scans: Sequence[LabelledScan], held_out: Collection[str]
) -> dict[str, dict[str, list[str]]]:
    """The split as other weights record it."""
    sides: dict[str, dict[str, set[str]]] = {
        side: {role: set() for role in ("patients", "case", "picture", "negative", "healthy")}
        for side in ("train", "validation")
    }
    for scan in scans:
        side = sides["validation" if scan.scan_id in held_out else "train"]
        role = "healthy" if scan.source == "healthy" else _ROLES.get(scan.source, "case")
        side[role].add(scan.scan_id)
        if role == "case":
            side["patients"].add(scan.patient_id)
    return {
        side: {role: sorted(ids) for role, ids in by_role.items()}
        for side, by_role in sides.items()
    }


def build_mixture_card(info: WeightsInfo) -> str:
    """The model card, every number in it from the manifest."""
    manifest = info.manifest
    training = manifest["training"]
    results = manifest.get("cross_validation", manifest.get("validation"))
    return render_card(
        "mixture",
        manifest=manifest,
        encoder=info.model.encoder.capitalize(),
        steps=training["epochs"] * training["steps_per_epoch"],
        results=results,
        fold_runs=_fold_runs(manifest.get("cross_validation", {}).get("folds", [])),
        volumes=[
            row for row in (results or {"scans": []})["scans"] if row["source"] in VOLUME_SOURCES
        ],
    )


def _fold_runs(folds: Sequence[Mapping[str, int]]) -> str:
    """Such as "1900 steps of 32 slices"; several where the folds differ."""
    runs = [f"{fold['steps']} steps of {fold['batch_size']} slices" for fold in folds]
    return ", ".join(dict.fromkeys(runs))
