"""Keras without graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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
