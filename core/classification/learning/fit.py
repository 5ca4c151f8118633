"""Training classifiers one after another; networks of one shape are compiled once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt

from core.classification.config import ClassifierModelConfig
from core.classification.learning.arrays import Arrays
from core.classification.learning.batches import PictureBatches
from core.classification.learning.config import Job, LearnConfig
from core.classification.learning.pack import Pictures
from core.classification.network import build_network, build_training_network, start_from


class Trainer:
    """A network of one shape with its optimizer, trained anew for each job."""

    def __init__(self, model: ClassifierModelConfig, config: LearnConfig) -> None:
        self.config = config
        before = keras.mixed_precision.dtype_policy()
        keras.mixed_precision.set_dtype_policy(config.precision)
        try:
            self.network = build_network(model)
            self._taught = build_training_network(self.network, model)
        finally:
            keras.mixed_precision.set_dtype_policy(before)
        self._model = model
        self._first = self.network.get_weights()
        self._taught.compile(
            optimizer=keras.optimizers.AdamW(
                config.learning_rate,
                weight_decay=config.weight_decay,
                global_clipnorm=1.0,
                use_ema=True,
                ema_momentum=config.average_momentum,
            ),
            loss=keras.losses.BinaryCrossentropy(
                from_logits=True, label_smoothing=config.smoothing
            ),
            jit_compile="auto",
        )

    def train(
        self,
        pictures: Pictures,
        job: Job,
        start: Arrays | None,
        *,
        soft: npt.NDArray[np.float64] | None = None,
        workers: int = 1,
        epochs: int | None = None,
    ) -> float:
        """Trains from the start again.

        Args:
            pictures: to learn from, all of them.
            start: the encoder's arrays; none starts from random ones.
            soft: (n,) probabilities to learn in place of the labels.
            epochs: fewer than the config says, for a trial.

        Returns:
            Seconds that it took.
        """
        began = time.perf_counter()
        keras.utils.set_random_seed(job.seed)
        self.network.set_weights(
            self._first
        )  # all seeds start alike, so that weights can be averaged
        if start is not None:
            start_from(self.network, start, shown=job.start)
        for variable in self._taught.optimizer.variables:
            if "learning_rate" not in variable.path:
                variable.assign(np.zeros(variable.shape))
        count = epochs or max(1, round(self.config.epochs * job.effort))
        batches = PictureBatches(
            pictures,
            self.config.augment,
            batch_size=self.config.batch_size,
            steps=self.config.steps,
            seed=job.seed,
            soft=soft,
            workers=workers,
        )
        rate = keras.callbacks.LearningRateScheduler(self._rate_of(count, job.rate))
        self._taught.fit(batches, epochs=count, shuffle=False, verbose=0, callbacks=[rate])
        return time.perf_counter() - began

    def _rate_of(self, epochs: int, factor: float) -> Callable[..., float]:
        def rate(epoch: int, _: float = 0.0) -> float:
            at = (epoch + 0.5) / epochs
            share = at / 0.1 if at < 0.1 else 0.5 * (1 + math.cos(math.pi * (at - 0.1) / 0.9))
            return self.config.learning_rate * factor * max(share, 0.01)

        return rate

    def arrays(self) -> Arrays:
        """By "layer/variable", as weights folders keep them."""
        return {
            variable.path: np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float32)
            for variable in self.network.weights
        }

    def set_arrays(self, arrays: Arrays) -> None:
        """Puts arrays of `arrays` into the network."""
        self.network.set_weights([arrays[variable.path] for variable in self.network.weights])

    def logits(self, pictures: Pictures) -> npt.NDArray[np.float64]:
        """(n,): mean over each picture and its mirror image."""
        size = 2 * self.config.batch_size
        both = []
        for mirrored in (False, True):
            found = []
            for start in range(0, len(pictures.labels), size):
                part = pictures.frames[start : start + size]
                shown = np.zeros((size, *part.shape[1:]), dtype=np.float32)
                shown[: len(part)] = (part[:, :, ::-1] if mirrored else part) / np.float32(255)
                logit = self._taught.predict_on_batch(shown)
                found.append(np.asarray(logit, dtype=np.float64)[: len(part), 0])
            both.append(np.concatenate(found))
        return np.mean(both, axis=0)


def training_part(pictures: Pictures, job: Job) -> Pictures:
    """What a job learns from."""
    kept = np.isin(pictures.sources, job.sets)
    if not job.all_sides:
        kept &= pictures.sides == "train"
    return pictures.of(kept)
