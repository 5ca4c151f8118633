"""Work on many numbers at once: everything is done, in order, and errors reach who asked."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from core.system import in_parts, side_by_side


@pytest.mark.parametrize("count", [0, 1, 7, 100])
def test_each_number_is_worked_on_once(count: int) -> None:
    done: list[int] = []
    side_by_side(done.append, range(count))
    assert sorted(done) == list(range(count))


def test_parts_come_in_their_order_whichever_is_done_first() -> None:
    def slow_at_first(part: Sequence[int]) -> list[int]:
        time.sleep(0.2 if part[0] == 0 else 0.0)
        return list(part)

    assert list(in_parts(slow_at_first, range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_an_error_is_raised_where_the_work_was_asked_for() -> None:
    def fail(number: int) -> None:
        if number == 3:
            raise ValueError("the third")

    with pytest.raises(ValueError, match="the third"):
        side_by_side(fail, range(10))
