"""Work that is alike for many slices, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from core.system.machine import cpu_count

T = TypeVar("T")

_TASKS_PER_CORE = 4


def side_by_side(work: Callable[[int], None], numbers: Iterable[int]) -> None:
    """Does work for each number, many numbers at a time."""
    every = list(numbers)

    def several(part: Sequence[int]) -> None:
        for number in part:
            work(number)

    count = max(1, -(-len(every) // (_TASKS_PER_CORE * cpu_count())))
    for _ in in_parts(several, every, count):
        pass


def in_parts(work: Callable[[Sequence[int]], T], numbers: Sequence[int], count: int) -> Iterator[T]:
    """What work gives for each `count` numbers, in their order whichever is done first."""
    parts = [numbers[first : first + count] for first in range(0, len(numbers), count)]
    with ThreadPoolExecutor(cpu_count()) as pool:
        yield from pool.map(work, parts)
