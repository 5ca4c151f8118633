"""Voxels of a scan as runs: small to send, quick to apply, and the same in every plane.

A voxel (i, j, k) of a grid of columns × rows × slices has the number
`i + j * columns + k * columns * rows`, which is its place in the memory of a mask in Fortran order.
A run is a first number and a count; runs of one stroke are in order and do not touch each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import CorrectionError
from core.volume import BoolArray

Numbers = npt.NDArray[np.int64]
"""Numbers of voxels, in order and each once."""

NO_NUMBERS: Numbers = np.empty(0, np.int64)

_WIRE = np.dtype("<u4")
MOST_VOXELS = int(np.iinfo(_WIRE).max)
"""Of a scan that can be corrected."""
_BYTES_PER_RUN = 2 * _WIRE.itemsize


@dataclass(frozen=True, eq=False)
class Runs:
    """Voxels as runs.

    Attributes:
        starts, lengths: (n,) uint32.
    """

    starts: npt.NDArray[np.uint32]
    lengths: npt.NDArray[np.uint32]

    @property
    def voxels(self) -> int:
        """How many voxels they hold."""
        return int(self.lengths.sum(dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Memory they take."""
        return self.starts.nbytes + self.lengths.nbytes

    def numbers(self) -> Numbers:
        """(voxels,) the number of each voxel."""
        lengths = self.lengths.astype(np.int64)
        before = np.cumsum(lengths) - lengths
        within = np.arange(self.voxels, dtype=np.int64) - np.repeat(before, lengths)
        found: Numbers = np.repeat(self.starts.astype(np.int64), lengths) + within
        return found

    def to_bytes(self) -> bytes:
        """uint32 (little-endian) start and length of each run, one run after the other."""
        pairs = np.stack([self.starts, self.lengths], axis=1).astype(_WIRE)
        return pairs.tobytes()


def runs_of(numbers: Numbers) -> Runs:
    """The runs of voxels given by number, in order and each once."""
    if not numbers.size:
        return Runs(np.empty(0, np.uint32), np.empty(0, np.uint32))
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    firsts = np.concatenate([[0], breaks])
    ends = np.concatenate([breaks, [numbers.size]])
    return Runs(numbers[firsts].astype(np.uint32), (ends - firsts).astype(np.uint32))


def read_runs(packed: bytes, *, voxels: int, most_runs: int) -> Runs:
    """The inverse of `Runs.to_bytes`, for bytes that anybody may have sent.

    Args:
        voxels: how many the scan has.
        most_runs: more are refused.

    Raises:
        CorrectionError: these are no runs of such a scan.
    """
    if not packed or len(packed) % _BYTES_PER_RUN:
        raise _unreadable(f"{len(packed)} bytes", "some runs of 8 bytes each")
    if len(packed) // _BYTES_PER_RUN > most_runs:
        raise _unreadable(f"{len(packed) // _BYTES_PER_RUN} runs", f"at most {most_runs}")
    pairs = np.frombuffer(packed, dtype=_WIRE).reshape(-1, 2).astype(np.int64)
    starts, ends = pairs[:, 0], pairs.sum(axis=1)
    if (pairs[:, 1] < 1).any() or (starts[1:] < ends[:-1]).any():
        raise _unreadable("empty or overlapping runs", "runs in order")
    if ends[-1] > voxels:
        raise _unreadable("voxels beyond the scan", f"at most {voxels} voxels")
    return Runs(pairs[:, 0].astype(np.uint32), pairs[:, 1].astype(np.uint32))


def _unreadable(got: str, expected: str) -> CorrectionError:
    return CorrectionError("A stroke could not be read", got=got, expected=expected)


def joined(*parts: Numbers) -> Numbers:
    """Numbers of several sets that share none, in order."""
    found: Numbers = np.sort(np.concatenate(parts))
    return found


def flat(mask: BoolArray) -> BoolArray:
    """The same memory as one row of voxels, by number; `mask` is in Fortran order."""
    if not mask.flags.f_contiguous:
        raise ValueError("a mask that is not in Fortran order has no voxels by number")
    row: BoolArray = mask.reshape(-1, order="F")
    return row


def numbers_in_slice(shape: tuple[int, int, int], axis: int, index: int) -> npt.NDArray[np.int64]:
    """Numbers of the voxels of one slice across `axis`, as an array of the two other axes."""
    columns, rows, _ = shape
    steps = (1, columns, columns * rows)
    first, second = (other for other in range(3) if other != axis)
    grid: npt.NDArray[np.int64] = (
        index * steps[axis]
        + steps[first] * np.arange(shape[first], dtype=np.int64)[:, None]
        + steps[second] * np.arange(shape[second], dtype=np.int64)[None, :]
    )
    return grid
