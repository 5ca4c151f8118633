"""Moving pictures as files: GIF by Pillow, MP4 by the encoder that OpenCV ships (MPEG-4, LGPL)."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from core.drawing import Picture
from core.errors import SaveError
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled

_DOING = "drawing frames"


def gif_bytes(
    frames: Iterable[Picture],
    *,
    frames_per_second: float,
    total: int = 0,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> bytes:
    """A GIF that repeats for ever, with colours of its own for each frame.

    Args:
        frames: (rows, columns, 3) RGB uint8, all of one size.
        total: how many there will be, for progress.

    Raises:
        SaveError: there is no frame.
        Cancelled: the person asked to stop.
    """
    pictures = []
    for number, frame in enumerate(frames):
        raise_if_cancelled(should_cancel, _DOING)
        on_progress(_DOING, number, total)
        pictures.append(Image.fromarray(frame).quantize(128, dither=Image.Dither.NONE))
    if not pictures:
        raise _nothing()
    packed = io.BytesIO()
    pictures[0].save(
        packed,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / frames_per_second),
        loop=0,
        disposal=1,
    )
    return packed.getvalue()


def mp4_bytes(
    frames: Iterable[Picture],
    *,
    frames_per_second: float,
    total: int = 0,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> bytes:
    """An MP4 (MPEG-4 Part 2), which PowerPoint, Keynote and VLC play; browsers may not.

    Args:
        frames: (rows, columns, 3) RGB uint8, all of one size with even sides.
        total: how many there will be, for progress.

    Raises:
        SaveError: there is no frame, or this OpenCV has no such encoder.
        Cancelled: the person asked to stop.
    """
    with tempfile.TemporaryDirectory(prefix="lunglens-") as folder:
        path = Path(folder) / "clip.mp4"
        writer = None
        try:
            for number, frame in enumerate(frames):
                raise_if_cancelled(should_cancel, _DOING)
                on_progress(_DOING, number, total)
                if writer is None:
                    writer = _writer(path, frame, frames_per_second)
                writer.write(np.ascontiguousarray(frame[..., ::-1]))
        finally:
            if writer is not None:
                writer.release()
        if writer is None:
            raise _nothing()
        return path.read_bytes()


def _writer(path: Path, frame: Picture, frames_per_second: float) -> cv2.VideoWriter:
    size = (frame.shape[1], frame.shape[0])
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), code, frames_per_second, size)
    if not writer.isOpened():
        raise SaveError(
            "This installation cannot write MP4",
            got="an OpenCV without the MPEG-4 encoder",
            expected="the one that pip installs",
            next_step="save a GIF instead",
        )
    return writer


def _nothing() -> SaveError:
    return SaveError(
        "There is nothing to draw",
        got="no frame",
        expected="a scan with slices, and lung marked in it",
        next_step="mark lung and infection first",
    )
