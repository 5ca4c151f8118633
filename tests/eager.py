"""Keras without graphs, and the proof that graphs would compute the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt


@contextmanager
def eager_keras() -> Iterator[None]:
    """Keras runs its steps one by one instead of tracing a graph first, which takes longer than
    all that a tiny network does."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def assert_same_when_compiled(
    loss: Any, true: npt.NDArray[np.float32], predicted: npt.NDArray[np.float32]
) -> None:
    """Training compiles its steps by XLA; the tiny runs of the tests do not. Loss and gradient of
    one step are the same either way."""
    import tensorflow as tf

    def step(found: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(found)
            value = loss(true, found)
        return value, tape.gradient(value, found)

    found = tf.constant(predicted)
    compiled = tf.function(step, jit_compile=True)(found)
    for eager, fused in zip(step(found), compiled, strict=True):
        np.testing.assert_allclose(fused, eager, rtol=1e-4, atol=1e-6)
