"""Pictures of one size as a volume: slices that were exported one by one, or a TIFF of pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.checks import DEFAULT_LIMITS, assemble_volume, check_size
from core.loading.pictures import header_size, load_picture, natural_order, tiff_pages
from core.system import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    never_cancel,
    raise_if_cancelled,
    size_text,
)
from core.volume import Array, Volume

_HU_OFFSET = 32768


def load_pictures(
    paths: Sequence[Path | str],
    *,
    name: str | None = None,
    limits: LoadLimits = DEFAULT_LIMITS,
    window: tuple[float, float] | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Volume:
    """A volume from one picture or from several of one size, sorted by natural order of names.

    Voxel [i, j, k] is row j, column i of picture k, taken to be seen from the feet with the
    front of the body on top; 1 mm spacing is a placeholder.

    Raises:
        LoadError: a picture cannot be used, or sizes differ.
    """
    ordered = sorted((Path(path) for path in paths), key=natural_order)
    if not ordered:
        raise LoadError("No picture to open", got="an empty list", expected="PNG or JPEG slices")
    if len(ordered) > limits.max_files:
        raise LoadError(
            "Too many pictures", got=f"{len(ordered)}", expected=f"at most {limits.max_files}"
        )
    pages = tiff_pages(ordered[0]) if len(ordered) == 1 else 1
    if pages > limits.max_files:
        raise LoadError("Too many pages", got=f"{pages}", expected=f"at most {limits.max_files}")
    sizes = [header_size(path, shown_name(path.name), pages=pages > 1) for path in ordered]
    _refuse_mixed_sizes(sizes)
    count = max(len(ordered), pages)
    check_size((*sizes[0], count), limits, what="The stack of pictures")
    stack, notes = _read_stack(
        ordered * pages, limits, on_progress=on_progress, should_cancel=should_cancel
    )
    stack, coded = _signed(stack)
    volume = assemble_volume(
        stack,
        np.diag([-1.0, -1.0, 1.0, 1.0]),
        hint="pictures",
        name=name or _stack_name(ordered),
        format="pictures",
        format_fact=_format_fact(ordered, pages),
        limits=limits,
        spacing_nominal=True,
        window=window,
        warnings=notes + coded,
    )
    names = tuple(path.stem for path in ordered) if len(ordered) > 1 else ()
    return replace(volume, source=replace(volume.source, pictures=names))


def _read_stack(
    paths: Sequence[Path],
    limits: LoadLimits,
    *,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> tuple[Array, tuple[str, ...]]:
    """Grey pictures of one size as (columns, rows, pictures), and what a person should know."""
    stack: Array | None = None
    coloured = turned = 0
    for k, path in enumerate(paths):
        raise_if_cancelled(should_cancel, "reading pictures")
        # Where all are one file, they are its pages.
        page = k if len(paths) > 1 and paths[0] == paths[-1] else None
        picture = load_picture(path, limits=limits, page=page)
        coloured += picture.coloured
        turned += picture.turned_by_viewers
        if stack is None:
            shape = (*picture.array.T.shape, len(paths))
            stack = np.empty(shape, dtype=picture.array.dtype, order="F")
        if picture.array.T.shape != stack.shape[:2]:
            _refuse_mixed_sizes([stack.shape[:2], picture.array.T.shape])
        if picture.array.dtype != stack.dtype:
            raise LoadError(
                "The pictures differ in depth",
                got=f"{stack.dtype} and {picture.array.dtype}",
                expected="one number of bits in all",
                next_step="export all slices the same way",
            )
        stack[:, :, k] = picture.array.T
        on_progress("reading pictures", k + 1, len(paths))
    assert stack is not None
    notes = ["Pictures carry no spacing: areas and volumes in mm or ml are not known."]
    if coloured:
        notes.append(f"Colours were converted to grey in {coloured} of {len(paths)} pictures.")
    if turned:
        notes.append(
            f"EXIF data turn {turned} of {len(paths)} pictures in viewers: here the pixels stay "
            "as they are stored, and so do the masks."
        )
    return stack, tuple(notes)


def _signed(stack: Array) -> tuple[Array, tuple[str, ...]]:
    """uint16 as int16 where it fits, else float32: the types of a `Volume`. HU that were stored
    with 32768 added, as some public sets have them, become HU, with a note."""
    if stack.dtype != np.uint16:
        return stack, ()
    if int(stack.max()) <= np.iinfo(np.int16).max:
        return stack.view(np.int16), ()
    sample = stack[:: max(1, stack.shape[0] // 128), :: max(1, stack.shape[1] // 128)]
    if _is_hu(sample.astype(np.int16)):
        return stack.view(np.int16), (
            "The values are HU whose negative numbers were stored as large positive ones, by their "
            "histogram; they were read as negative.",
        )
    if _is_hu(sample[sample > 0].astype(np.int32) - _HU_OFFSET):
        stack[stack == 0] = _HU_OFFSET - 1024  # padding, shown as air
        # In two's complement, turning the highest bit is the same as subtracting 32768.
        stack ^= np.uint16(_HU_OFFSET)
        return stack.view(np.int16), (
            f"The values are HU with {_HU_OFFSET} added, by their histogram; it was subtracted.",
        )
    return stack.astype(np.float32), ()


def _is_hu(values: Array) -> bool:
    """Whether air and soft tissue lie where they do in HU."""
    if values.size == 0 or values.min() < -4096 or values.max() > 8192:
        return False
    air, tissue = np.mean(values < -500), np.mean((values > -200) & (values < 300))
    return bool(air > 0.02 and tissue > 0.05)


def _refuse_mixed_sizes(sizes: list[tuple[int, int]]) -> None:
    distinct = sorted(set(sizes))
    if len(distinct) > 1:
        listed = ", ".join(map(size_text, distinct[:4]))
        more = f" and {len(distinct) - 4} more" if len(distinct) > 4 else ""
        raise LoadError(
            "The pictures differ in size",
            got=listed + more,
            expected="one size for all slices of a scan",
            next_step="open them one by one",
        )


def _stack_name(paths: list[Path]) -> str:
    if len(paths) == 1:
        return shown_name(paths[0].name)
    return f"{len(paths)} pictures"


def _format_fact(paths: list[Path], pages: int) -> str:
    endings = sorted({path.suffix.lstrip(".").upper() or "picture" for path in paths})
    kinds = shown_name(", ".join(endings))
    if pages > 1:
        return f"{kinds} of {pages} pages"
    return f"{kinds} picture" if len(paths) == 1 else f"{len(paths)} {kinds} pictures"
