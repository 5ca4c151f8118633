"""Keras without graphs and a small encoder, for quick tests; and the proof that graphs would
compute the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest


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


def shrink_encoder(patch: pytest.MonkeyPatch) -> None:
    """EfficientNet-Lite0 with a quarter of its filters and 5 instead of 16 blocks, one before each
    halving and one after the last: for tests that need its structure and not its size, since
    building it and each of its steps take seconds. The arrays from ImageNet do not fit it."""
    from core.segmentation.models import efficientnet

    halving = [stage for stage in efficientnet._STAGES if stage.stride == 2]
    stages = tuple(replace(one, repeats=1) for one in (efficientnet._STAGES[0], *halving))
    patch.setattr(efficientnet, "_STAGES", stages)
    patch.setitem(efficientnet._SCALES, "lite0", (0.25, 0.25))


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
