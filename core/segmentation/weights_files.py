"""The files of a weights folder that hold the network: `weights.npz` and `graph.json`.

Arrays are stored by variable path in NumPy's npz format, kernels as float16, read without
pickle, and only after the file's sha256 has been checked against the manifest.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import SaveError, WeightsError, shown_name
from core.segmentation.graph import Graph, describe_graph, graph_from_text, graph_to_text
from core.segmentation.manifests import StoredWeights
from core.system import write_text

if TYPE_CHECKING:
    import keras

ARRAYS_NAME = "weights.npz"
GRAPH_NAME = "graph.json"
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
"""What NumPy lets through when an npz file is damaged."""


def read_stored_graph(info: StoredWeights) -> Graph:
    """The layers in a folder's `graph.json`.

    Raises:
        WeightsError: the file is missing, has another sha256 than the manifest says, or is no
            graph.
    """
    path = _checked_file(info, GRAPH_NAME, info.graph_sha256 or "")
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
            got=_npz_fault(error),
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
    endless = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if endless:
        raise WeightsError(
            f"The weights file {shown} cannot be used",
            got=f"values that are not finite in {len(endless)} of {len(arrays)} arrays, first "
            f"{shown_name(endless[0])}",
            expected="finite numbers",
            next_step="use other weights, or train again: this training has diverged",
        )
    return arrays


def _npz_fault(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if "pickle" in str(error).lower():
        return "Python objects, which are never loaded"
    return "a damaged or other file"


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
            expected="a file that this account can read",
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


def write_network(
    model: keras.Model, folder: Path, *, more_arrays: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Writes `weights.npz` and `graph.json`; returns their entries for the manifest.

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
            expected="a folder with free space",
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
