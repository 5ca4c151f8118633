"""Publishing weights: written into a staging folder, loaded as a check, put in place at the end.

Whatever stops a publisher before its end, the place of the new weights stays as it was. Every
publisher stages in a folder of its own, so several may work beside each other; of two with one
name the one that ends last counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import ModelConfig, PostprocessConfig, PreprocessConfig, to_json_dict
from core.errors import SaveError, WeightsError, shown_name
from core.segmentation.manifests import (
    CARD_NAME,
    MANIFEST_NAME,
    is_weights_id,
)
from core.segmentation.weights import WeightsInfo, read_manifest
from core.segmentation.weights_files import ARRAYS_NAME, GRAPH_NAME, write_network
from core.system import check_place, json_text, make_folder, take_lock, write_text

if TYPE_CHECKING:
    import keras

STAGE_NAME = "stage{number}.json"
"""Configs of the runs before the published one, each the start of the next, first to last;
`train --config` takes them."""
_WEIGHTS_FILES = (MANIFEST_NAME, ARRAYS_NAME, GRAPH_NAME, CARD_NAME, STAGE_NAME.format(number="*"))
_STAGING_PREFIX = ".staging-"
_LOCK_NAME = "lock"
_SECONDS_TO_TAKE_LOCK = 60.0
_ATTEMPTS = 10


def check_publish_folder(folder: Path, *, option: str = "--publish") -> None:
    """Whether weights can be published there; asked before hours are spent on them.

    Raises:
        WeightsError: the folder's name cannot be an id, or it holds something besides weights.
        SaveError: nothing can be written there.
    """
    if not is_weights_id(folder.name):
        raise WeightsError(
            "This name cannot be used for a weights folder",
            got=shown_name(folder),
            expected="letters, digits, '.', '_' and '-'",
        )
    check_place(folder, option=option, is_folder=True)
    _refuse_other_files(folder)


def _refuse_other_files(folder: Path) -> None:
    """Refuses a folder whose files publishing would remove, though they are no weights."""
    if not folder.is_dir():
        return
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    other = [name for name in names if not any(fnmatch(name, one) for one in _WEIGHTS_FILES)]
    if not names or (not other and MANIFEST_NAME in names):
        return
    raise WeightsError(
        f"The folder {shown_name(folder)} holds other files, which publishing would remove",
        got=shown_name(other[0]) if other else f"no {MANIFEST_NAME}",
        expected="a new folder, or one with weights alone",
        next_step="choose another folder or move the files",
    )


@contextmanager
def stage_weights(folder: Path, *, check: Callable[[Path], object]) -> Iterator[Path]:
    """A staging folder of the same name to write weights into; they are put in place at the end.

    Args:
        folder: where the weights are to lie; its name becomes their id.
        check: loads what was written, or raises.

    Raises:
        WeightsError, SaveError: see `check_publish_folder`, and what `check` raises.
    """
    check_publish_folder(folder)
    place = make_folder(folder.parent, option="folder of weights")
    _remove_abandoned(place)
    staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=place))
    try:
        with (staging / _LOCK_NAME).open("ab") as lock:
            take_lock(lock)
            staged = staging / folder.name
            staged.mkdir()
            yield staged
            check(staged)
            _put_in_place(staged, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _remove_abandoned(place: Path) -> None:
    """Removes the staging folders of publishers that were killed; those alive hold a lock."""
    for staging in place.glob(f"{_STAGING_PREFIX}*"):
        try:
            if time.time() - staging.stat().st_mtime < _SECONDS_TO_TAKE_LOCK:
                continue
            with (staging / _LOCK_NAME).open("rb+") as lock:
                is_abandoned = take_lock(lock)
        except OSError:
            continue
        if is_abandoned:
            shutil.rmtree(staging, ignore_errors=True)


def _put_in_place(staged: Path, folder: Path) -> None:
    """One rename where nothing is there yet; earlier weights step aside first and come back if
    the new ones cannot take their place."""
    aside: Path | None = None
    for attempt in range(_ATTEMPTS):
        try:
            os.rename(staged, folder)
            return
        except OSError as error:
            if not folder.is_dir() or attempt == _ATTEMPTS - 1:
                if aside is not None and not folder.exists():
                    os.rename(aside, folder)
                raise SaveError(
                    f"The weights {shown_name(folder)} cannot be put in place",
                    got=error.strerror or "a write error",
                    expected="a folder that may be replaced",
                    next_step="choose another folder",
                ) from error
        _refuse_other_files(folder)
        aside = staged.parent / f"replaced-{attempt}"
        # Another publisher may have taken them away meanwhile.
        with contextlib.suppress(FileNotFoundError):
            os.rename(folder, aside)


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
        folder: of `stage_weights` where others may look.
        record: further JSON-ready facts for the manifest: data, split, validation, versions.

    Raises:
        WeightsError: the folder's name cannot be an id.
        SaveError: it cannot be written.
    """
    check_publish_folder(folder)
    make_folder(folder, option="folder")
    manifest = {
        "weights_id": folder.name,
        "title": title,
        "default": is_default,
        **write_network(model, folder),
        "model": to_json_dict(model_config),
        "preprocess": to_json_dict(preprocess),
        "postprocess": to_json_dict(postprocess),
        **record,
    }
    write_manifest(folder, manifest)
    return read_manifest(folder)


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes the manifest of weights; what is not defined is null.

    Raises:
        SaveError: it cannot be written.
    """
    write_text(folder / MANIFEST_NAME, json_text(manifest) + "\n")


def add_to_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """Adds what became known after the weights were written, such as their validation.

    Raises:
        SaveError: it cannot be written.
    """
    manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    write_manifest(folder, {**manifest, **facts})
