"""All steps of a correction in the order of their making, in one file that only grows.

The file begins with `LungLens steps 1` and a line break. Each act follows as uint32 (little-endian)
length and CRC-32 of what comes then: uint32 length of a JSON header, the header, and for every mask
in its `flips` the runs that were turned over (see `core.correction.runs`). Acts are steps, "undo"
and "redo". Whatever a crash has left behind the last whole act is cut off. Where a file has grown
long, it is written anew with the fewest acts that lead to the same place; a "base" then stands for
all steps that can no longer be undone.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from core.config import CHANNELS, Channel, parse_json, whole_number
from core.correction.history import Act, Base, Redo, SliceAt, Step, Undo
from core.correction.runs import Runs, read_runs
from core.errors import CorrectionError, ProjectError
from core.system import write_bytes
from core.volume import PLANE_AXIS

_BEGIN = b"LungLens steps 1\n"
_BYTES_PER_RUN = 8
_MOST_ACT_BYTES = 1 << 30
_MOST_HEADER = 1000
_MOST_STEPS = 1_000_000_000
_MOVES: dict[str, Undo | Redo] = {"undo": Undo(), "redo": Redo()}


class Journal:
    """A file of acts that is written to; every act is on the disk once `append` returns.

    Args:
        path: of the file, which is made where it is not there.
        length: bytes that hold whole acts; what lies behind is cut off.
    """

    def __init__(self, path: Path, *, length: int = 0) -> None:
        self._path = path
        self._file: IO[bytes] = path.open("r+b" if path.exists() else "x+b")
        self._file.truncate(length)
        self._file.seek(0, os.SEEK_END)
        if not length:
            self._write(_BEGIN)

    @property
    def length(self) -> int:
        """Bytes of the file."""
        return self._file.tell()

    def append(self, act: Act) -> None:
        """Writes an act.

        Raises:
            OSError: it cannot be written, as on a full disk; the file is as it was before.
        """
        self._write(_framed(act))

    def begin_with(self, acts: Iterable[Act]) -> None:
        """Writes the file anew with these acts; it is the old one or the new one, whatever happens.

        Raises:
            OSError, SaveError: it cannot be written; it is as it was before.
        """
        write_bytes(self._path, b"".join([_BEGIN, *map(_framed, acts)]))
        self._file.close()
        self._file = self._path.open("r+b")
        self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def _write(self, content: bytes) -> None:
        before = self._file.tell()
        try:
            self._file.write(content)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            # Half an act would hide all that come after it.
            self._file.seek(before)
            self._file.truncate(before)
            raise


def _framed(act: Act) -> bytes:
    payload = _packed(act)
    check = zlib.crc32(payload)
    return len(payload).to_bytes(4, "little") + check.to_bytes(4, "little") + payload


def read_journal(path: Path, *, shape: tuple[int, int, int]) -> tuple[list[Act], int]:
    """All whole acts of a file, and how many bytes they take.

    Args:
        shape: of the scan.

    Raises:
        ProjectError: it is no such file.
    """
    content = path.read_bytes() if path.exists() else b""
    if content and not content.startswith(_BEGIN):
        raise ProjectError(
            "The steps of a project cannot be read",
            got="another kind of file",
            expected="steps as this version of LungLens writes them",
        )
    acts: list[Act] = []
    at = len(_BEGIN) if content else 0
    for payload, end in _payloads(content, at):
        try:
            acts.append(_unpacked(payload, shape))
        except (CorrectionError, ValueError, KeyError, TypeError):
            break
        at = end
    return acts, at


def count_acts(path: Path) -> int:
    """How many whole acts a file has, without reading what they did."""
    content = path.read_bytes() if path.exists() else b""
    return sum(1 for _ in _payloads(content, len(_BEGIN)))


def _payloads(content: bytes, at: int) -> Iterator[tuple[bytes, int]]:
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "little")
        check = int.from_bytes(content[at + 4 : at + 8], "little")
        payload = content[at + 8 : at + 8 + length]
        if length > _MOST_ACT_BYTES or len(payload) < length or zlib.crc32(payload) != check:
            return
        at += 8 + length
        yield payload, at


def _packed(act: Act) -> bytes:
    header: dict[str, Any]
    parts: Iterable[Runs] = ()
    if isinstance(act, Step):
        drawn = None if act.drawn is None else [act.drawn.plane, act.drawn.index]
        counts = {channel: len(runs.starts) for channel, runs in act.flips.items()}
        header = {"act": "step", "channel": act.channel, "drawn": drawn, "flips": counts}
        parts = act.flips.values()
    elif isinstance(act, Base):
        counts = {channel: len(runs.starts) for channel, runs in act.flips.items()}
        header = {"act": "base", "steps": act.steps, "flips": counts}
        parts = act.flips.values()
    else:
        header = {"act": "undo" if isinstance(act, Undo) else "redo"}
    text = json.dumps(header).encode()
    return b"".join([len(text).to_bytes(4, "little"), text, *(runs.to_bytes() for runs in parts)])


def _unpacked(payload: bytes, shape: tuple[int, int, int]) -> Act:
    length = int.from_bytes(payload[:4], "little")
    header = parse_json(payload[4 : 4 + length].decode(), most_characters=_MOST_HEADER)
    if not isinstance(header, dict) or not isinstance(header.get("flips", {}), dict):
        raise ValueError("no header of an act")
    if header["act"] in _MOVES:
        return _MOVES[header["act"]]
    at, voxels = 4 + length, shape[0] * shape[1] * shape[2]
    flips: dict[Channel, Runs] = {}
    for name, count in header["flips"].items():
        size = _BYTES_PER_RUN * whole_number(count, most=voxels)
        flips[_channel(name)] = read_runs(payload[at : at + size], voxels=voxels, most_runs=voxels)
        at += size
    if header["act"] == "base":
        return Base(flips, whole_number(header["steps"], most=_MOST_STEPS))
    if header["act"] != "step":
        raise ValueError("an unknown act")
    return Step(flips, _channel(header["channel"]), _slice(header["drawn"], shape))


def _channel(name: object) -> Channel:
    for channel in CHANNELS:
        if channel == name:
            return channel
    raise ValueError("an unknown mask")


def _slice(found: Any, shape: tuple[int, int, int]) -> SliceAt | None:
    if found is None:
        return None
    for plane, axis in PLANE_AXIS.items():
        if isinstance(found, list) and found[:1] == [plane] and len(found) == 2:
            return SliceAt(plane, whole_number(found[1], most=shape[axis] - 1))
    raise ValueError("an unknown plane")
