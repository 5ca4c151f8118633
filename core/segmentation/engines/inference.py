"""The network on Keras: device, precision, batches."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

# Without a GPU TensorFlow reports failures that are none.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt

from core.config import Precision, PreprocessConfig
from core.segmentation.engines.protocol import Prediction
from core.segmentation.weights import WeightsInfo, load_weights
from core.system import (
    OnProgress,
    ShouldCancel,
    cpu_count,
    cpu_facts,
    ignore_progress,
    never_cancel,
    raise_if_cancelled,
)


@cache
def prepare_device() -> str:
    """Lets the backend of Keras take GPU memory as needed instead of all of it, and names what
    will compute.

    Returns:
        Such as "GPU (NVIDIA A100)" or "CPU (8 cores)".
    """
    gpu = _GPU_NAMES[keras.backend.backend()]()
    return f"CPU ({cpu_count()} cores)" if gpu is None else f"GPU ({gpu})"


def _gpu_of_tensorflow() -> str | None:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # already in use by this process: then growth is settled
            continue
    if not gpus:
        return None
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "unnamed"))


def _gpu_of_jax() -> str | None:
    # Read when the backend starts, which the next line makes it do.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    gpus = [device for device in jax.local_devices() if device.platform == "gpu"]
    return str(gpus[0].device_kind) if gpus else None


def _gpu_of_torch() -> str | None:
    import torch

    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else None


_GPU_NAMES: dict[str, Callable[[], str | None]] = {
    "tensorflow": _gpu_of_tensorflow,
    "jax": _gpu_of_jax,
    "torch": _gpu_of_torch,
}


def has_fast_bfloat16() -> bool:
    """Whether training is faster in bfloat16: on a GPU, or on a CPU that multiplies it, by AMX
    tiles (twice as fast) or AVX-512 (1.4 times)."""
    if prepare_device().startswith("GPU"):
        return True
    return any(flag in cpu_facts() for flag in (" amx_bf16", " avx512_bf16"))


class Segmenter:
    """A trained network, ready: loaded once, shared by sessions, one prediction at a time."""

    def __init__(
        self, info: WeightsInfo, *, precision: Precision = "auto", fallback_reason: str = ""
    ) -> None:
        """Loads the network.

        Args:
            precision: what it computes in; auto is float32.
            fallback_reason: why this engine was taken though another is the usual one.
        """
        self.fallback_reason = fallback_reason
        self.device = prepare_device()
        self.info = info
        self.preprocess: PreprocessConfig = info.preprocess
        self.model = load_weights(info, precision=precision)
        self._lock = threading.Lock()

    @property
    def weights_id(self) -> str:
        """Folder name of the weights."""
        return self.info.weights_id

    def warm_up(self, batch_size: int) -> None:
        """Traces the network for one batch size, so that the first scan does not take longer."""
        shape = (batch_size, self.preprocess.rows, self.preprocess.columns)
        self.predict(np.zeros(shape, dtype=np.uint8), batch_size=batch_size)

    def predict(
        self,
        frames: npt.NDArray[np.uint8],
        *,
        batch_size: int,
        on_progress: OnProgress = ignore_progress,
        should_cancel: ShouldCancel = never_cancel,
    ) -> Prediction:
        """Probabilities for preprocessed slices.

        Args:
            frames: (n, rows, columns) uint8 of `core.preprocessing.model_input`.
            batch_size: slices in a batch at most. Fewer slices than that go in a batch of the next
                power of two, and the last batch is filled up, so that few shapes are traced.

        Raises:
            Cancelled: between two batches.
        """
        count, rows, columns = frames.shape
        shape = self.info.model.output_channels, count
        pixels = np.empty((*shape, rows, columns), dtype=np.uint8)
        presence = np.empty(shape, dtype=np.uint8) if self.info.model.slice_head else None
        batch_size = min(batch_size, 1 << max(0, count - 1).bit_length())
        batch = np.zeros((batch_size, rows, columns, 1), dtype=np.float32)
        for start in range(0, count, batch_size):
            raise_if_cancelled(should_cancel, "marking slices")
            stop = min(start + batch_size, count)
            np.multiply(
                frames[start:stop, ..., None], np.float32(1 / 255), out=batch[: stop - start]
            )
            with self._lock:
                predicted = self._predict_batch(batch)
            for output, found in zip((pixels, presence), predicted, strict=False):
                if output is not None:
                    scaled = np.rint(np.asarray(found)[: stop - start] * 255.0).astype(np.uint8)
                    output[:, start:stop] = np.moveaxis(scaled, -1, 0)
            on_progress("marking slices", stop, count)
        return Prediction(pixels, presence)

    def _predict_batch(self, batch: npt.NDArray[np.float32]) -> list[Any]:
        predicted = self.model.predict_on_batch(batch)
        return predicted if isinstance(predicted, list) else [predicted]
