"""Single slices, such as those for training, in the viewer: one below the other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from core.loading import grey_intensity
from core.ui.session import this_session
from core.ui.viewer import Marks, Place, ViewerScan, show_viewer
from core.volume import BoolArray, MaskPair, Volume, volume_from_file

Slices = npt.NDArray[np.uint8]


@dataclass(eq=False)
class SliceStack:
    """Slices as a scan, and where a person is in it; lives as long as its session."""

    digest: str
    volume: Volume
    truth: MaskPair
    prediction: MaskPair | None
    place: Place


@dataclass(eq=False)
class SliceStacks:
    """The stacks of a session, by the key of their viewer."""

    by_key: dict[str, SliceStack] = field(default_factory=dict)


def show_stack(
    images: Slices,
    truth: BoolArray,
    *,
    channels: tuple[str, ...],
    key: str,
    name: str,
    stamp: str = "",
    prediction: BoolArray | None = None,
    marks: Marks | None = None,
    tallest: float = 0.5,
) -> None:
    """The viewer over slices of one size, with their masks; the sent slices change only when
    they do.

    Args:
        images: (n, rows, columns) uint8.
        truth, prediction: (n, rows, columns, c), one channel for each of `channels`.
        channels: "lung", "infection" or both, in the order of the masks.
        key: of the viewer; zoom is remembered by it.
    """
    stack = _stack_of(images, truth, prediction, channels, key)
    show_viewer(
        ViewerScan(
            owner=stack,
            volume=stack.volume,
            truth=stack.truth,
            prediction=stack.prediction,
            name=name,
            stamp=stamp,
        ),
        stack.place,
        key=key,
        tools="few",
        tallest=tallest,
        marks=marks,
    )


def _stack_of(
    images: Slices,
    truth: BoolArray,
    prediction: BoolArray | None,
    channels: tuple[str, ...],
    key: str,
) -> SliceStack:
    state = hashlib.blake2b(digest_size=16)
    for array in (images, truth, prediction):
        if array is not None:
            state.update(np.ascontiguousarray(array).tobytes())
    digest = state.hexdigest()
    stacks = this_session().part(SliceStacks).by_key
    kept = stacks.get(key)
    if kept is not None and kept.digest == digest:
        return kept
    count, rows, columns = images.shape
    # Pictures carry no millimetres and no orientation: as they are drawn.
    volume = volume_from_file(
        np.asfortranarray(images.transpose(2, 1, 0)),
        np.diag([-1.0, -1.0, 1.0, 1.0]),
        intensity=grey_intensity(),
        name="slices",
        format="pictures",
        spacing_nominal=True,
    )
    index = 0
    if kept is not None:  # the same slices drawn again: stay at this one
        index = min(kept.place.slice_index, count - 1)
    stack = SliceStack(
        digest,
        volume,
        _pair(truth, channels),
        None if prediction is None else _pair(prediction, channels),
        Place(voxel=(columns // 2, rows // 2, index)),
    )
    stacks[key] = stack
    return stack


def _pair(masks: BoolArray, channels: tuple[str, ...]) -> MaskPair:
    by_name = {
        channel: np.asfortranarray(masks[..., number].transpose(2, 1, 0))
        for number, channel in enumerate(channels)
    }
    return MaskPair(by_name.get("lung"), by_name.get("infection"))
