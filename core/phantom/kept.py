"""The demo study on the disk: drawn once a machine, and read in a moment from then on."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import platformdirs
import scipy

from core.errors import SaveError
from core.phantom.frame import Frame
from core.phantom.study import DEMO_SHAPE, as_study, build_demo_study
from core.system import OnProgress, ignore_progress, write_bytes
from core.volume import Study

_PREFIX, _ENDING = "demo-study-", ".npz"


def kept_demo_study(
    folder: Path | None = None, *, on_progress: OnProgress = ignore_progress
) -> Study:
    """The study of `build_demo_study`, read where it was kept, else built and kept.

    Args:
        folder: to keep it in; None for the user's own folder for caches. Where nothing can be
            written the study is built each time.

    Returns:
        The same voxels and masks as `build_demo_study()` gives.
    """
    folder = folder or platformdirs.user_cache_path("lunglens", appauthor=False)
    path = folder / f"{_PREFIX}{_fingerprint()}{_ENDING}"
    study = _read(path)
    if study is None:
        study = build_demo_study(on_progress=on_progress)
        # A cache that cannot be written costs time and nothing else.
        with suppress(SaveError, OSError):
            folder.mkdir(parents=True, exist_ok=True)
            write_bytes(path, _packed(study))
            for old in _others(path):
                old.unlink()
    return study


def _fingerprint() -> str:
    """Of what decides about the voxels: the drawing's own code and the libraries that it uses."""
    known = hashlib.blake2b(digest_size=8)
    for library in (np, scipy, cv2):
        known.update(library.__version__.encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        known.update(file.read_bytes())
    return known.hexdigest()


def _packed(study: Study) -> bytes:
    assert study.truth is not None
    out = io.BytesIO()
    np.savez(
        out,
        hu=study.volume.array.T,
        lung=np.packbits(np.asarray(study.truth.lung).T),
        infection=np.packbits(np.asarray(study.truth.infection).T),
    )
    return out.getvalue()


def _read(path: Path) -> Study | None:
    columns, rows, slices = DEMO_SHAPE
    shape = (slices, rows, columns)
    try:
        with np.load(path, allow_pickle=False) as kept:
            hu, bits = kept["hu"], [kept[name] for name in ("lung", "infection")]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    expected = (-(-columns * rows * slices // 8),)
    if hu.shape != shape or hu.dtype != np.int16:
        return None
    if any(mask.shape != expected or mask.dtype != np.uint8 for mask in bits):
        return None
    lung, infection = (
        np.unpackbits(mask, count=hu.size).reshape(shape).view(np.bool_) for mask in bits
    )
    return as_study(Frame(DEMO_SHAPE), hu, lung, infection)


def _others(path: Path) -> Iterator[Path]:
    return (file for file in path.parent.glob(f"{_PREFIX}*{_ENDING}") if file != path)
