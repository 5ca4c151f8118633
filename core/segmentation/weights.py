"""Trained weights on disk: a folder each with `manifest.json`, `weights.npz`, `graph.json` and
`README.md`.

They lie in `weights/`, which ships with the app, and in `published/` among the runs, where those
trained here are published. Where both hold weights of one name, the shipped ones count.

Arrays are stored by variable path in NumPy's npz format, kernels as float16, read without
pickle, and only after the file's sha256 has been checked against the manifest.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from core.config import (
    ModelConfig,
    PostprocessConfig,
    PreprocessConfig,
    from_json_dict,
    to_json_dict,
)
from core.errors import ConfigError, SaveError, WeightsError, shown_name
from core.segmentation.graph import Graph, describe_graph, graph_from_text, graph_to_text
from core.system import (
    PUBLISHED_NAME,
    WEIGHTS_FOLDER,
    json_text,
    make_folder,
    runs_folder,
    write_text,
)

if TYPE_CHECKING:
    import keras

MANIFEST_NAME = "manifest.json"
ARRAYS_NAME = "weights.npz"
GRAPH_NAME = "graph.json"
CARD_NAME = "README.md"
UNREADABLE_NPZ = (
    OSError,
    ValueError,  # pickled objects, which are refused
    EOFError,
    TypeError,  # a lone array instead of an archive
    AttributeError,
    RuntimeError,  # encrypted, or of an unknown compression
    KeyError,  # an array that is not there
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy lets through when a npz file is damaged."""
_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class StoredWeights(Protocol):
    """What is known of a weights folder before its files are opened, whatever its network does."""

    @property
    def weights_id(self) -> str:
        """Folder name."""

    @property
    def folder(self) -> Path:
        """Where its files lie."""

    @property
    def sha256(self) -> str:
        """Of `weights.npz`."""

    @property
    def graph_sha256(self) -> str | None:
        """Of `graph.json`; none where there is no such file."""


SEGMENTATION_KIND = "segmentation"
"""What a manifest without a `kind` describes."""


@dataclass(frozen=True)
class WeightsInfo:
    """What a manifest says; reading it needs neither Keras nor the arrays."""

    weights_id: str
    title: str
    folder: Path
    sha256: str
    model: ModelConfig
    preprocess: PreprocessConfig
    postprocess: PostprocessConfig
    is_default: bool
    manifest_text: str
    graph_sha256: str | None = None
    """Of `graph.json`; none where the weights were written without one."""

    @property
    def manifest(self) -> dict[str, Any]:
        """The whole manifest."""
        manifest: dict[str, Any] = json.loads(self.manifest_text)
        return manifest

    @property
    def card_path(self) -> Path:
        """The model card, Markdown."""
        return self.folder / CARD_NAME


def published_folder() -> Path:
    """Where weights trained on this machine are published; it need not be there yet."""
    return runs_folder() / PUBLISHED_NAME


def _places(folder: Path | None) -> tuple[Path, ...]:
    return (WEIGHTS_FOLDER, published_folder()) if folder is None else (folder,)


def list_weights(folder: Path | None = None) -> tuple[WeightsInfo, ...]:
    """All weights for segmentation whose manifest can be read: the shipped ones first, of those
    the default first.

    Args:
        folder: look there alone; none looks where weights ship and where they are published.

    Raises:
        WeightsError: there are manifests, but none can be read.
    """
    infos: dict[str, WeightsInfo] = {}
    broken: list[WeightsError] = []
    for place in _places(folder):
        found = []
        for path in sorted(place.glob(f"*/{MANIFEST_NAME}")):
            if manifest_kind(path.parent) != SEGMENTATION_KIND:
                continue
            try:
                found.append(read_manifest(path.parent))
            except WeightsError as error:
                # One broken folder must not cost the others; asked for by its id it is told.
                broken.append(error)
        for info in sorted(found, key=lambda info: (not info.is_default, info.weights_id)):
            infos.setdefault(info.weights_id, info)
    if broken and not infos:
        raise broken[0]
    return tuple(infos.values())


def find_weights(weights_id: str | None = None, *, folder: Path | None = None) -> WeightsInfo:
    """The weights of that id, or the default ones.

    Args:
        folder: as for `list_weights`.

    Raises:
        WeightsError: there are none, none of that id, or its manifest cannot be read.
    """
    if weights_id is not None and _ID_PATTERN.fullmatch(weights_id):
        for place in _places(folder):
            if (place / weights_id / MANIFEST_NAME).exists():
                return read_manifest(place / weights_id)
    known = list_weights(folder)
    if not known:
        raise WeightsError(
            "No weights are installed",
            got="an empty weights folder",
            expected="weights/NAME/manifest.json",
            next_step="take the repository with its weights/, or train with 'python -m core train'",
        )
    if weights_id is None:
        return known[0]
    raise WeightsError(
        "Unknown weights",
        got=shown_name(weights_id),
        expected="one of " + ", ".join(info.weights_id for info in known),
    )


def manifest_kind(folder: Path) -> str:
    """What the weights of a folder are for; segmentation too where the manifest cannot tell."""
    try:
        manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return SEGMENTATION_KIND
    kind = manifest.get("kind", SEGMENTATION_KIND) if isinstance(manifest, dict) else None
    return kind if isinstance(kind, str) else SEGMENTATION_KIND


def read_manifest(folder: Path) -> WeightsInfo:
    """The manifest of one weights folder.

    Raises:
        WeightsError: it is missing, no JSON, or lacks something.
    """
    path = folder / MANIFEST_NAME
    shown = f"{shown_name(folder)}/{MANIFEST_NAME}"
    try:
        text = path.read_text(encoding="utf-8")
        manifest = json.loads(text)
        info = WeightsInfo(
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
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
        raise WeightsError(
            f"The manifest {shown} cannot be read",
            got=f"{type(error).__name__}",
            expected="JSON with weights_id, title, file, model, preprocess and postprocess",
            next_step="restore the file from the repository",
        ) from error
    if info.weights_id != folder.name or not _ID_PATTERN.fullmatch(info.weights_id):
        raise WeightsError(
            f"The manifest {shown} names other weights",
            got=shown_name(info.weights_id),
            expected=shown_name(folder),
            next_step="rename the folder or correct weights_id",
        )
    return info


def load_weights(info: WeightsInfo) -> keras.Model:
    """The network of a manifest with its trained arrays.

    Raises:
        WeightsError: the file is missing, has another sha256, or does not fit the architecture.
    """
    from core.segmentation.models import build_model

    arrays = read_arrays(info)
    model = build_model(info.model, rows=info.preprocess.rows, columns=info.preprocess.columns)
    shown = f"{info.weights_id}/{ARRAYS_NAME}"
    wanted = {variable.path: tuple(variable.shape) for variable in model.weights}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        differing = sorted(set(wanted.items()) ^ set(found.items()))
        raise WeightsError(
            f"The weights file {shown} does not fit its architecture",
            got=f"{len(differing)} differing arrays, first {differing[0][0]}",
            expected=f"the {len(wanted)} arrays of a {info.model.architecture}",
            next_step="restore weights and manifest from the same version",
        )
    for variable in model.weights:
        variable.assign(arrays[variable.path].astype(np.float32))
    return model


def read_graph(info: WeightsInfo) -> Graph:
    """The network's layers; asks Keras, which takes seconds, only where no file tells them.

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
    return read_stored_graph(info, info.graph_sha256)


def read_stored_graph(info: StoredWeights, sha256: str) -> Graph:
    """The layers in a folder's `graph.json`.

    Raises:
        WeightsError: as `read_graph`.
    """
    path = _checked_file(info, GRAPH_NAME, sha256)
    text = path.read_text(encoding="utf-8", errors="replace")
    return graph_from_text(text, shown=f"{info.weights_id}/{GRAPH_NAME}")


def read_arrays(info: StoredWeights) -> dict[str, Any]:
    """The trained arrays by variable path, float16 or float32, checked against the manifest.

    Raises:
        WeightsError: the file is missing, has another sha256, or holds anything else.
    """
    path = _checked_file(info, ARRAYS_NAME, info.sha256)
    shown = f"{info.weights_id}/{ARRAYS_NAME}"
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except UNREADABLE_NPZ as error:
        raise WeightsError(
            f"The weights file {shown} cannot be read",
            got=type(error).__name__,
            expected="an npz archive of plain arrays",
            next_step="restore it from the repository",
        ) from error
    odd = [name for name, array in arrays.items() if array.dtype not in (np.float16, np.float32)]
    if odd:
        raise WeightsError(
            f"The weights file {shown} cannot be read",
            got=f"{arrays[odd[0]].dtype} in {shown_name(odd[0])}",
            expected="float16 and float32",
            next_step="restore it from the repository",
        )
    return arrays


def _checked_file(info: StoredWeights, name: str, sha256: str) -> Path:
    path = info.folder / name
    shown = f"{info.weights_id}/{name}"
    if not path.is_file():
        raise WeightsError(
            f"The weights file {shown} is missing", next_step="restore it from the repository"
        )
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise WeightsError(
            f"The weights file {shown} cannot be read",
            got=error.strerror or "a read error",
            expected="a file that this account may read",
            next_step="check its permissions",
        ) from error
    if digest != sha256:
        raise WeightsError(
            f"The weights file {shown} is damaged",
            got=f"sha256 {digest[:12]}…",
            expected=f"{sha256[:12]}…",
            next_step="restore it from the repository",
        )
    return path


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def check_weights_name(folder: Path) -> None:
    """Whether the folder's name can be an id.

    Raises:
        WeightsError: it cannot.
    """
    if not _ID_PATTERN.fullmatch(folder.name):
        raise WeightsError(
            "The weights folder cannot be named so",
            got=shown_name(folder),
            expected="letters, digits, '.', '_' and '-'",
        )


def save_weights(
    model: keras.Model,
    folder: Path,
    *,
    title: str,
    model_config: ModelConfig,
    preprocess: PreprocessConfig,
    postprocess: PostprocessConfig,
    record: dict[str, Any],
    is_default: bool = False,
) -> WeightsInfo:
    """Writes arrays, graph and manifest into `folder`, whose name becomes the weights' id.

    Args:
        record: further JSON-ready facts for the manifest: data, split, validation, versions.

    Raises:
        WeightsError: the folder's name cannot be an id.
        SaveError: it cannot be written.
    """
    check_weights_name(folder)
    make_folder(folder, option="folder")
    files = write_network(model, folder)
    manifest = {
        "weights_id": folder.name,
        "title": title,
        "default": is_default,
        **files,
        "model": to_json_dict(model_config),
        "preprocess": to_json_dict(preprocess),
        "postprocess": to_json_dict(postprocess),
        **record,
    }
    write_text(folder / MANIFEST_NAME, json_text(manifest) + "\n")
    return read_manifest(folder)


def write_network(
    model: keras.Model, folder: Path, *, more_arrays: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Writes `weights.npz` and `graph.json`; gives what a manifest says of them.

    Args:
        more_arrays: further arrays by name, stored as they are.

    Raises:
        SaveError: they cannot be written.
    """
    arrays = {variable.path: _to_stored(np.asarray(variable)) for variable in model.weights}
    path = folder / ARRAYS_NAME
    try:
        np.savez_compressed(path, **arrays, **(more_arrays or {}))
    except OSError as error:
        raise SaveError(
            f"The weights {shown_name(folder)} cannot be written",
            got=error.strerror or "a write error",
            expected="a folder with room",
            next_step="choose another folder",
        ) from error
    write_text(folder / GRAPH_NAME, graph_to_text(describe_graph(model)))
    return {
        "file": {"name": ARRAYS_NAME, "sha256": file_sha256(path), "bytes": path.stat().st_size},
        "graph": {"name": GRAPH_NAME, "sha256": file_sha256(folder / GRAPH_NAME)},
    }


def _to_stored(array: Any) -> Any:
    # Vectors (biases, statistics of normalisation) are few and may lie outside float16's range.
    return array.astype(np.float16 if array.ndim > 1 else np.float32)
