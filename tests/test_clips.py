"""Moving pictures for slides: every slice and every turn is in the file, and in the right place."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from core.drawing.clips import BACKGROUNDS, cine_frames, turning_frames
from core.errors import Cancelled, SaveError
from core.output.exports.clips import gif_bytes, mp4_bytes
from core.volume import MaskPair
from tests.studies import small_study, small_truth, small_volume

CAPTION = 32


def frames_of(path: Path) -> list[np.ndarray]:
    film, frames = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = film.read()
        if not there:
            return frames
        frames.append(frame[..., ::-1])


def ramp(count: int) -> list[np.ndarray]:
    return [np.full((48, 64, 3), 20 * number + 20, np.uint8) for number in range(count)]


def test_a_gif_holds_every_frame_in_order() -> None:
    film = Image.open(io.BytesIO(gif_bytes(ramp(9), frames_per_second=10)))
    assert film.n_frames == 9
    assert film.info["duration"] == 100
    assert film.info["loop"] == 0
    for number in range(9):
        film.seek(number)
        assert np.asarray(film.convert("RGB"))[5, 5].tolist() == [20 * number + 20] * 3


def test_an_mp4_holds_every_frame_in_order(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(mp4_bytes(ramp(9), frames_per_second=10))
    found = frames_of(path)
    assert len(found) == 9
    means = [float(frame.mean()) for frame in found]
    assert means == pytest.approx([20 * number + 20 for number in range(9)], abs=6)


@pytest.mark.parametrize("write", [gif_bytes, mp4_bytes])
def test_no_frame_is_one_sentence_and_a_stop_ends_it(write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SaveError, match="nothing to draw"):
        write([], frames_per_second=10)
    seen: list[int] = []
    with pytest.raises(Cancelled):
        write(
            ramp(9),
            frames_per_second=10,
            on_progress=lambda stage, done, total: seen.append(done),
            should_cancel=lambda: len(seen) > 2,
        )
    assert len(seen) == 3


def test_cine_goes_from_the_feet_to_the_head_through_every_slice() -> None:
    volume, truth = small_volume(), small_truth()
    frames = list(cine_frames(volume, truth, center=-600, width=1500, stamp="SYNTHETIC"))
    assert len(frames) == volume.shape[2]
    rows, columns = frames[0].shape[:2]
    # 48 × 40 voxels of one size.
    assert (columns, rows - CAPTION) == (480, 400)
    assert rows % 2 == 0
    # Infection lies in slices 3 to 5, and its outline is orange.
    orange = [((frame == (230, 159, 0)).all(axis=2)).any() for frame in frames]
    assert orange == [False] * 3 + [True] * 3 + [False] * 2


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_ground_is_as_asked_for(background: str) -> None:
    volume, truth = small_volume(), small_truth()
    first = next(turning_frames(volume, truth, frames=4, background=background))
    assert first[40, 2].tolist() == list(BACKGROUNDS[background])
    slices = next(cine_frames(volume, truth, center=0, width=100, background=background))
    assert slices[2, 2].tolist() == list(BACKGROUNDS[background])


def test_lungs_turn_about_the_long_axis() -> None:
    volume = small_volume()
    lung = np.zeros(volume.shape, dtype=bool)
    lung[4:44, 6:34, :] = True
    spot = np.zeros_like(lung)
    spot[6:16, 8:32, 5:8] = True  # of the patient's right, near the head
    turns = list(turning_frames(volume, MaskPair(lung, spot), frames=4))
    assert len(turns) == 4

    def place(frame: np.ndarray) -> tuple[float, float]:
        red = frame[CAPTION:, :, 0].astype(int) - frame[CAPTION:, :, 2]
        rows, columns = np.nonzero(red > red.max() - 40)
        return float(columns.mean()) - 240, float(rows.mean()) - 240

    front, side, back = (place(turns[number]) for number in (0, 1, 2))
    assert front[0] < -30
    assert front[1] < 0
    assert abs(side[0]) < abs(front[0])
    assert back[0] == pytest.approx(-front[0], abs=12)
    assert back[1] == pytest.approx(front[1], abs=6)


def test_without_lung_nothing_turns() -> None:
    study = small_study(truth=False)
    assert list(turning_frames(study.volume, MaskPair(None, None))) == []
