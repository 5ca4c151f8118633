"""Training classifiers one after another."""

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
from core.classification.learning.lower import LowerFeatures
from core.classification.learning.pack import Pictures
from core.classification.network import build_network, build_training_network, start_from


class Trainer:
    """A network of one shape with its optimizer, trained anew for each job."""

    def __init__(self, model: ClassifierModelConfig, start: Arrays, config: LearnConfig) -> None:
        """Args:
        start: the encoder's arrays; its lower stages stay as they are.
        """
        self.config = config
        self.network = build_network(model)
        start_from(self.network, start, shown="the segmentation weights")
        self._taught = build_training_network(self.network, model)
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
            jit_compile=False,
        )

    def train(self, features: LowerFeatures, pictures: Pictures, job: Job) -> float:
        """Trains from the start again; all seeds start alike, so that weights can be averaged.

        Args:
            features: of variations of the pictures.

        Returns:
            Seconds that it took.
        """
        began = time.perf_counter()
        keras.utils.set_random_seed(job.seed)
        self.network.set_weights(self._first)
        for variable in self._taught.optimizer.variables:
            if "learning_rate" not in variable.path:
                variable.assign(np.zeros(variable.shape))
        epochs = max(1, round(self.config.epochs * job.effort))
        batches = PictureBatches(
            features,
            pictures,
            learned_from(pictures, job),
            mixup=self.config.augment.mixup,
            batch_size=self.config.batch_size,
            steps=self.config.steps,
            seed=job.seed,
        )
        rate = keras.callbacks.LearningRateScheduler(self._rate_of(epochs, job.rate))
        self._taught.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[rate])
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

    def logits(self, features: LowerFeatures) -> npt.NDArray[np.float64]:
        """(n,) of each."""
        size = self.config.batch_size
        found = [
            np.asarray(
                self._taught.predict_on_batch(features.inputs(slice(start, start + size))),
                dtype=np.float64,
            )[:, 0]
            for start in range(0, len(features.picture), size)
        ]
        return np.concatenate(found)


def learned_from(pictures: Pictures, job: Job) -> npt.NDArray[np.bool_]:
    """(n,) the pictures that a job learns from."""
    kept: npt.NDArray[np.bool_] = np.isin(pictures.sources, job.sets)
    return kept if job.all_sides else kept & (pictures.sides == "train")
