"""A slice that was exported as a picture; `picture_stack` joins several to a volume.

Pixels are taken as they are stored. Where a camera or a phone wrote into EXIF that viewers
should turn the picture, it stays unturned here, with a warning: a mask saved beside it then has
the size and the pixels of the file itself.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.checks import DEFAULT_LIMITS, check_size, may_be_read
from core.system import (
    percent_text,
    size_text,
)
from core.volume import Array

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
"""What Pillow may read, whatever a file calls itself: other readers start programs (Ghostscript for
EPS) or are seldom used, and so seldom mended."""

_MAGICS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = 1
_GREY_TOLERANCE = 12
"""Channels of a grey picture saved as colour JPEG differ by a few levels."""
_STRONG_COLOUR = 60
_MAX_COLOURED_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Picture:
    """One grey picture: `array` (rows, columns) uint8, uint16 or float32, as stored."""

    array: Array
    coloured: bool
    """True where colours were turned into grey."""
    turned_by_viewers: bool = False
    """True where EXIF data ask for another orientation than that of the stored pixels."""


def is_picture(path: Path | str) -> bool:
    """Whether a file begins like a picture, whatever its name."""
    path = Path(path)
    try:
        if not path.is_file():  # opening a pipe would wait for who writes into it
            return False
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        return False
    return start.startswith(_MAGICS) or (start[:4] == b"RIFF" and start[8:] == b"WEBP")


def natural_order(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sorting key that puts slice2 before slice10."""
    parts = re.split(r"(\d+)", path.name.lower())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def pictures_in(folder: Path | str) -> tuple[Path, ...]:
    """The pictures of a folder (not of its subfolders) in the order of a stack.

    Raises:
        LoadError: the folder cannot be read.
    """
    try:
        children = list(Path(folder).iterdir())
    except OSError as error:
        raise LoadError(
            f"Folder {shown_name(folder)} cannot be opened",
            got=error.strerror or "a read error",
            expected="a readable folder",
            next_step="check its path and permissions",
        ) from error
    found = [
        path
        for path in children
        if may_be_read(path)
        and path.name.lower().endswith(PICTURE_ENDINGS)
        and not path.name.startswith(".")
    ]
    return tuple(sorted(found, key=natural_order))


def load_picture(
    path: Path | str,
    *,
    limits: LoadLimits = DEFAULT_LIMITS,
    min_side: int | None = None,
    page: int | None = None,
) -> Picture:
    """One picture as grey; its size is checked before it is decoded.

    Args:
        min_side: smallest rows and columns; none takes that of `limits`.
        page: which page of a TIFF file, from 0; none for a file of a single picture.

    Raises:
        LoadError: not a picture, damaged, too small or large, animated, a turned TIFF, or a
            colour photograph.
    """
    path = Path(path)
    name = shown_name(path.name)
    columns, rows = header_size(path, name, pages=page is not None)
    check_size((columns, rows), limits, what=name)
    smallest = limits.min_side if min_side is None else min_side
    if min(columns, rows) < smallest:
        raise LoadError(
            f"{name} is too small to show a chest",
            got=f"{size_text((columns, rows))} pixels",
            expected=f"at least {size_text((smallest, smallest))}",
            next_step="export the slice in its full size",
        )
    with _opened(path, name) as image:
        if page is not None:
            image.seek(page)
            check_size(image.size, limits, what=name)
        _refuse_turned_tiff(image, name)
        picture = _grey(_pixels(image), name)
        return replace(picture, turned_by_viewers=_exif_orientation(image) != _UPRIGHT)


def load_unfit_picture(
    path: Path, *, limits: LoadLimits = DEFAULT_LIMITS
) -> npt.NDArray[np.uint8] | None:
    """What can be seen of a picture that is no CT slice: its first page in grey, (rows, columns)
    uint8; none where it cannot be read at all or is too large."""
    name = shown_name(path.name)
    try:
        with _opened(path, name) as image:
            check_size(image.size, limits, what=name)
            grey = _pixels(image)
    except LoadError:
        return None
    if grey.ndim == 3:
        grey = cv2.cvtColor(np.ascontiguousarray(grey), cv2.COLOR_RGB2GRAY)
    if grey.dtype != np.uint8:
        values = np.nan_to_num(grey.astype(np.float32), posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        grey = ((values - low) * (255.0 / max(high - low, 1e-6))).astype(np.uint8)
    return grey


def tiff_pages(path: Path) -> int:
    """How many slices a TIFF file holds; 1 for any other picture."""
    with _opened(path, shown_name(path.name)) as image:
        return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1


def header_size(path: Path, name: str, *, pages: bool = False) -> tuple[int, int]:
    """Columns and rows from the header alone; of the first page where there may be several."""
    with _opened(path, name) as image:
        size, frames = image.size, getattr(image, "n_frames", 1)
    if frames > 1 and not pages:
        raise LoadError(
            f"{name} holds several pages",
            got=f"{frames} pictures in one file",
            expected="one slice per file",
            next_step="export each slice as its own PNG, or open a TIFF of pages alone",
        )
    return size


@contextmanager
def _opened(path: Path, name: str) -> Iterator[Image.Image]:
    """An open picture; errors while it is in use are reported in one sentence."""
    try:
        with warnings.catch_warnings():
            # Pillow would print its own path and words beside the one sentence.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=PICTURE_FORMATS) as image:
                yield image
    except LoadError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise LoadError(
            f"{name} is too large to open",
            got="a header that claims a huge picture",
            expected="one CT slice",
            next_step="export the slice in the size of the scan",
        ) from error
    except OSError as error:
        if error.strerror is None:  # the file's fault, not that of the disk
            raise _damaged(name) from error
        raise LoadError(
            f"{name} cannot be opened",
            got=error.strerror,
            expected="a readable file",
            next_step="check its permissions",
        ) from error
    except Exception as error:  # decoders raise whatever a broken file makes them
        raise _damaged(name) from error


def _exif_orientation(image: Image.Image) -> int:
    """1 for upright as stored, up to 8 for turns and mirrorings; 1 where none is given."""
    try:
        value = int(image.getexif().get(_EXIF_ORIENTATION, _UPRIGHT))
    except Exception:  # the picture itself was read; broken EXIF data say nothing
        return _UPRIGHT
    return value if 1 <= value <= 8 else _UPRIGHT


def _refuse_turned_tiff(image: Image.Image, name: str) -> None:
    """Readers disagree on such files: a mask could not be sure to fit."""
    if image.format == "TIFF" and _exif_orientation(image) != _UPRIGHT:
        raise LoadError(
            f"{name} is stored turned",
            got=f"orientation {_exif_orientation(image)} in its header",
            expected="orientation 1, upright as stored",
            next_step="export the slice again as PNG",
        )


def _pixels(image: Image.Image) -> Array:
    """(rows, columns) or (rows, columns, RGB) in the depth of the file, as stored."""
    if image.mode in ("L", "RGB", "F") or image.mode.startswith("I"):
        pixels = np.asarray(image)
    elif image.mode in ("1", "LA", "La"):
        pixels = np.asarray(image.convert("L"))
    elif image.mode in ("RGBA", "RGBX", "RGBa"):
        pixels = np.asarray(image)[:, :, :3]  # what lies under transparency counts too
    else:
        pixels = np.asarray(image.convert("RGB"))
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize > 1:
        low, high = int(pixels.min()), int(pixels.max())
        fits = low >= 0 and high <= np.iinfo(np.uint16).max
        pixels = pixels.astype(np.uint16 if fits else np.float32)
    return pixels


def _damaged(name: str) -> LoadError:
    return LoadError(
        f"{name} is not a picture that can be read",
        got="a damaged or unknown file",
        expected="PNG, JPEG, WebP, BMP or TIFF",
        next_step="export the slice again as PNG",
    )


def _grey(pixels: Array, name: str) -> Picture:
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise _damaged(name)
    if pixels.ndim == 2:
        return Picture(pixels, coloured=False)
    spread = pixels.max(axis=2).astype(np.int16) - pixels.min(axis=2)
    strong = float(np.count_nonzero(spread > _STRONG_COLOUR)) / spread.size
    if strong > _MAX_COLOURED_SHARE:
        raise LoadError(
            f"{name} is a colour picture, not a CT slice",
            got=f"{percent_text(strong, digits=0)} coloured pixels",
            expected="grey",
            next_step="export the slice in grey",
        )
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    # A few stray pixels of chroma noise are no colour; an arrow is.
    coloured = bool(np.count_nonzero(spread > _GREY_TOLERANCE) > 1e-4 * spread.size)
    return Picture(grey, coloured=coloured)
