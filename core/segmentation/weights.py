"""Trained segmentation weights: listing, choosing and loading them.

Weights are a folder each with `manifest.json`, `weights.npz`, `graph.json` and `README.md`. They
lie in `weights/`, which ships with the app, and in `published/` among the runs, where those
trained here are published. Where both hold weights of one name, the shipped ones count.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.config import (
    ModelConfig,
    PostprocessConfig,
    Precision,
    PreprocessConfig,
    from_json_dict,
)
from core.errors import WeightsError, shown_name
from core.segmentation.graph import Graph, describe_graph
from core.segmentation.manifests import (
    MANIFEST_NAME,
    SEGMENTATION_KIND,
    Listing,
    Manifest,
    StoredWeights,
    UnusableWeights,
    is_weights_id,
    list_kind,
    read_manifest_as,
)
from core.segmentation.weights_files import ARRAYS_NAME, read_arrays, read_stored_graph
from core.system import PUBLISHED_NAME, WEIGHTS_FOLDER, runs_folder

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class WeightsInfo(StoredWeights):
    """The manifest of segmentation weights."""

    model: ModelConfig
    preprocess: PreprocessConfig
    postprocess: PostprocessConfig


def published_folder() -> Path:
    """Where weights trained on this machine are published; it need not be there yet."""
    return runs_folder() / PUBLISHED_NAME


def list_weights(folder: Path | None = None) -> tuple[WeightsInfo, ...]:
    """All usable weights for segmentation: the shipped ones first, of those the default first.

    Args:
        folder: look there alone; none looks where weights ship and where they are published.

    Raises:
        WeightsError: there are weights, but none can be used.
    """
    usable, unusable = _list_all(folder)
    if unusable and not usable:
        raise unusable[0].error
    return usable


def list_unusable_weights(folder: Path | None = None) -> tuple[UnusableWeights, ...]:
    """Weights that are left out of `list_weights`, each with the reason; folders as there."""
    return _list_all(folder)[1]


def marked_default(folder: Path) -> frozenset[str]:
    """Ids of the weights of a folder that are the default, or are damaged and may be."""
    found = _list_place(folder)
    return frozenset(
        [info.weights_id for info in found.usable if info.is_default]
        + [one.weights_id for one in found.unusable if one.may_be_default]
    )


def find_weights(weights_id: str | None = None, *, folder: Path | None = None) -> WeightsInfo:
    """The weights of that id, or the default ones.

    Args:
        folder: as for `list_weights`.

    Raises:
        WeightsError: there are none, none of that id, or their manifest cannot be read. Where
            the default ones cannot be read, no others take their place.
    """
    if weights_id is None:
        return _find_default(folder)
    if is_weights_id(weights_id):
        for place in _places(folder):
            if (place / weights_id / MANIFEST_NAME).exists():
                return read_manifest(place / weights_id)
    known = list_weights(folder)
    if not known:
        raise _none_installed()
    broken = ", ".join(shown_name(one.weights_id) for one in list_unusable_weights(folder))
    raise WeightsError(
        "Unknown weights",
        got=shown_name(weights_id),
        expected="one of " + ", ".join(info.weights_id for info in known),
        next_step=f"these are damaged and cannot be used: {broken}" if broken else None,
    )


def _find_default(folder: Path | None) -> WeightsInfo:
    for place in _places(folder):
        info = _list_place(place).default()
        if info is not None:
            return info
    unusable = list_unusable_weights(folder)
    raise unusable[0].error if unusable else _none_installed()


def _list_all(
    folder: Path | None,
) -> tuple[tuple[WeightsInfo, ...], tuple[UnusableWeights, ...]]:
    usable: dict[str, WeightsInfo] = {}
    unusable: dict[str, UnusableWeights] = {}
    for place in _places(folder):
        found = _list_place(place)
        taken = {*usable, *unusable}
        usable.update({i.weights_id: i for i in found.usable if i.weights_id not in taken})
        unusable.update({i.weights_id: i for i in found.unusable if i.weights_id not in taken})
    return tuple(usable.values()), tuple(unusable.values())


def _list_place(place: Path) -> Listing[WeightsInfo]:
    return list_kind(place, read_manifest, kind=SEGMENTATION_KIND)


def _places(folder: Path | None) -> tuple[Path, ...]:
    return (WEIGHTS_FOLDER, published_folder()) if folder is None else (folder,)


def _none_installed() -> WeightsError:
    return WeightsError(
        "No weights are installed",
        got="an empty weights folder",
        expected="weights/NAME/manifest.json",
        next_step="get the repository with its weights/, or train with 'python -m core train'",
    )


def read_manifest(folder: Path) -> WeightsInfo:
    """The manifest of segmentation weights.

    Raises:
        WeightsError: see `core.segmentation.manifests.read_manifest_as`.
    """

    def build(manifest: Manifest, text: str) -> WeightsInfo:
        return WeightsInfo(
            weights_id=str(manifest["weights_id"]),
            title=str(manifest["title"]),
            folder=folder,
            sha256=str(manifest["file"]["sha256"]),
            model=from_json_dict(ModelConfig, manifest["model"]),
            preprocess=from_json_dict(PreprocessConfig, manifest["preprocess"]),
            postprocess=from_json_dict(PostprocessConfig, manifest["postprocess"]),
            is_default=bool(manifest.get("default", False)),
            manifest_text=text,
            graph_sha256=str(manifest["graph"]["sha256"]) if "graph" in manifest else None,
        )

    return read_manifest_as(
        folder,
        build,
        kind=SEGMENTATION_KIND,
        expected="JSON with weights_id, title, file, model, preprocess and postprocess",
    )


def load_weights(info: WeightsInfo, *, precision: Precision = "float32") -> keras.Model:
    """The network of a manifest with its trained arrays.

    Args:
        precision: what its layers compute in; arrays and outputs are float32 in any case.

    Raises:
        WeightsError: the file is missing, has another sha256, or does not fit the architecture.
    """
    from core.segmentation.models import build_model

    arrays = read_arrays(info)
    preprocess = info.preprocess
    model = build_model(
        info.model, rows=preprocess.rows, columns=preprocess.columns, precision=precision
    )
    wanted = {variable.path: tuple(variable.shape) for variable in model.weights}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        differing = sorted(set(wanted.items()) ^ set(found.items()))
        raise WeightsError(
            f"The weights file {info.weights_id}/{ARRAYS_NAME} does not fit its architecture",
            got=f"{len(differing)} differing arrays, first {differing[0][0]}",
            expected=f"the {len(wanted)} arrays of a {info.model.architecture}",
            next_step="restore weights and manifest from the same version",
        )
    for variable in model.weights:
        variable.assign(arrays[variable.path].astype(np.float32))
    return model


def read_graph(info: WeightsInfo) -> Graph:
    """The network's layers; builds the network in Keras, which takes seconds, only where no file
    lists them.

    Raises:
        WeightsError: the file is missing, has another sha256 than the manifest says, or is no
            graph.
    """
    if info.graph_sha256 is None:
        from core.segmentation.models import build_model

        preprocess = info.preprocess
        return describe_graph(
            build_model(info.model, rows=preprocess.rows, columns=preprocess.columns)
        )
    return read_stored_graph(info)
