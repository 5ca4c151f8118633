"""Strokes from the browser: what it sends of a mask and what it gets back.

Voxels travel as runs (see `core.correction.runs`), never a whole mask. The browser says for which
masks it has drawn; where they have changed since, nothing is changed and it loads them again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.config import CHANNELS, Channel, CorrectionConfig, Plane
from core.correction import (
    BackToNetwork,
    Change,
    CopySlice,
    Correction,
    Edit,
    Interpolate,
    Paint,
    Redo,
    SliceAt,
    TogglePart,
    Undo,
    read_runs,
)
from core.errors import CorrectionError
from core.ui.viewer.place import PLANES
from core.volume import Volume

_BYTES_PER_RUN = 8
MOST_BODY_BYTES = _BYTES_PER_RUN * CorrectionConfig().most_runs
"""A longer body is not read."""


class UnreadableEdit(CorrectionError):
    """What the browser has sent is no edit: a bug, or somebody else's browser."""


def apply_edit(
    correction: Correction, volume: Volume, asked: Mapping[str, str], body: bytes
) -> bytes:
    """Makes the edit that a browser asks for, and packs what has changed.

    Args:
        asked: the query of the address: `edit`, `revision`, and what the edit needs of `channel`,
            `plane`, `index`, `voxel`, `marked`, `whole`, `low`, `high`, `step` and `free`.
        body: runs of a stroke; empty for all other edits.

    Returns:
        uint32 (little-endian) length of a JSON header, the header, and for each mask in its
        `flips` the runs of what was turned over. Of strokes only their number of voxels comes
        back, which the browser compares with its own.

    Raises:
        UnreadableEdit: it is no edit.
        StaleCorrectionError: the masks have changed since.
        CorrectionError: it cannot be made.
    """
    edit = _read_edit(asked, body, volume, correction.config)
    change = correction.apply(
        edit, revision=_number(asked, "revision"), free=asked.get("free") == "1"
    )
    return _packed(change, with_runs=not isinstance(edit, Paint))


def _read_edit(
    asked: Mapping[str, str], body: bytes, volume: Volume, config: CorrectionConfig
) -> Edit:
    kind = asked.get("edit")
    if kind == "undo":
        return Undo()
    if kind == "redo":
        return Redo()
    channel = _channel(asked)
    if kind == "back" and "plane" not in asked:
        return BackToNetwork(channel)
    at = SliceAt(_plane(asked), _number(asked, "index"))
    if kind == "back":
        return BackToNetwork(channel, at)
    if kind == "paint":
        voxels = volume.shape[0] * volume.shape[1] * volume.shape[2]
        runs = read_runs(body, voxels=voxels, most_runs=config.most_runs)
        return Paint(channel, asked.get("marked") == "1", runs, at)
    if kind == "part":
        limits = (_hu(asked, "low"), _hu(asked, "high")) if "low" in asked else None
        return TogglePart(
            channel, _voxel(asked), at, whole=asked.get("whole") == "1", limits_hu=limits
        )
    if kind == "interpolate":
        return Interpolate(channel, at)
    if kind == "copy" and asked.get("step") in ("-1", "1"):
        return CopySlice(channel, at, int(asked["step"]))
    raise UnreadableEdit("This edit is not understood")


def _packed(change: Change, *, with_runs: bool) -> bytes:
    header: dict[str, Any] = {
        "revision": change.revision,
        "undoable": change.undoable,
        "redoable": change.redoable,
        "touched": change.touched,
        "text": change.text,
        "voxels": {channel: runs.voxels for channel, runs in change.flips.items()},
        "flips": [],
    }
    parts = []
    if with_runs:
        for channel, runs in change.flips.items():
            parts.append(runs.to_bytes())
            header["flips"].append({"channel": channel, "runs": len(runs.starts)})
    text = json.dumps(header, ensure_ascii=False).encode()
    # Runs are read as numbers of four bytes, which must begin at a multiple of four.
    text += b" " * (-len(text) % 4)
    return b"".join([len(text).to_bytes(4, "little"), text, *parts])


def _channel(asked: Mapping[str, str]) -> Channel:
    wanted = asked.get("channel")
    for channel in CHANNELS:
        if channel == wanted:
            return channel
    raise UnreadableEdit("This edit names no mask")


def _plane(asked: Mapping[str, str]) -> Plane:
    wanted = asked.get("plane")
    for plane in PLANES:
        if plane == wanted:
            return plane
    raise UnreadableEdit("This edit names no plane")


def _voxel(asked: Mapping[str, str]) -> tuple[int, int, int]:
    parts = asked.get("voxel", "").split(",")
    if len(parts) != 3:
        raise UnreadableEdit("This edit names no voxel")
    i, j, k = (_whole(part) for part in parts)
    return i, j, k


def _hu(asked: Mapping[str, str], name: str) -> float:
    text = asked.get(name, "")
    return -float(_whole(text[1:])) if text.startswith("-") else float(_whole(text))


def _number(asked: Mapping[str, str], name: str) -> int:
    return _whole(asked.get(name, ""))


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UnreadableEdit("This edit contains a value that is not a number")
    return int(text)
