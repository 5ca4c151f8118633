"""Masks of pictures that are pictures themselves: white where true."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from core.config import LoadLimits
from core.errors import GeometryError, LoadError, shown_name
from core.loading.pictures import load_picture, pictures_in, tiff_pages
from core.system import size_text
from core.volume import Array, Volume


def is_picture_folder(path: Path) -> bool:
    """Whether a path is a folder with pictures in it."""
    return os.path.isdir(path) and bool(pictures_in(path))


def load_picture_masks(
    path: Path, volume: Volume, *, limits: LoadLimits
) -> tuple[Array, tuple[str, ...]]:
    """(i, j, k) 0 and 1 for a picture or a stack of them, and notes for the person.

    Anything above half of the brightest pixel is true.

    Args:
        path: a picture of the same size, a TIFF file of as many pages as there are slices, or a
            folder with a mask for each picture of the stack, of the same name without ending.

    Raises:
        LoadError: a mask cannot be read, or a picture has none.
        GeometryError: a mask has another size than its picture.
    """
    sources, notes = _in_order(path, volume, limits)
    slices = [
        load_picture(file, limits=limits, min_side=1, page=page).array for file, page in sources
    ]
    for (file, _), grey in zip(sources, slices, strict=True):
        if len(slices) != volume.shape[2] or grey.T.shape != volume.shape[:2]:
            raise GeometryError(
                f"Mask {shown_name(file.name)} has another shape than the scan",
                got=size_text((grey.shape[1], grey.shape[0], len(slices))),
                expected=size_text(volume.shape),
                next_step="open the masks that were drawn on these pictures",
            )
    # JPEG smears edges, and some sets write 1 for true: half of the brightest tells both.
    threshold = max(0.5, max(float(grey.max()) for grey in slices) / 2)
    mask = np.empty(volume.shape, dtype=np.uint8, order="F")
    for k, grey in enumerate(slices):
        mask[:, :, k] = threshold < grey.T
    return mask, notes


def _in_order(
    path: Path, volume: Volume, limits: LoadLimits
) -> tuple[list[tuple[Path, int | None]], tuple[str, ...]]:
    """The file and page of each slice's mask."""
    if not os.path.isdir(path):
        pages = tiff_pages(path)
        if pages == 1:
            return [(path, None)], ()
        return [(path, page) for page in range(min(pages, limits.max_files))], ()
    found: dict[str, Path] = {}
    for file in pictures_in(path):
        found.setdefault(file.stem.lower(), file)
    names = volume.source.pictures
    missing = [name for name in names if name.lower() not in found]
    if missing or not names:
        raise LoadError(
            f"Folder {shown_name(path)} does not hold a mask for each picture",
            got=f"{len(found)} masks, none for {shown_name(missing[0])}"
            if missing
            else f"{len(found)} pictures as the mask of a scan",
            expected=f"{len(names)} masks with the names of the pictures"
            if missing
            else "a NIfTI mask",
            next_step="name each mask as its picture" if missing else "open one mask file",
        )
    extra = len(found) - len(names)
    notes: tuple[str, ...] = ()
    if extra > 0:
        notes = (f"{extra} masks without a picture of their name were left out.",)
    return [(found[name.lower()], None) for name in names], notes
