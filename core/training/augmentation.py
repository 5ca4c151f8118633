"""Random changes to training slices, image and masks together, made of Keras layers."""

from __future__ import annotations

from typing import Any

import cv2
import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from core.config import AugmentConfig, EnhanceConfig
from core.preprocessing import enhance


class RandomChange(layers.Layer):
    """A change of slices in training, drawn anew for each of them; a layer derives from it.

    Args:
        strength: bound of what is drawn.
    """

    def __init__(self, strength: float, *, seed: int | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.strength = strength
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = True) -> Any:
        return self.change(inputs) if training else inputs

    def change(self, inputs: Any) -> Any:
        """The changed slices, in the form of `build_augmentation`."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "strength": self.strength, "seed": self.seed}


@keras.saving.register_keras_serializable(package="lunglens")
class RandomGamma(RandomChange):
    """Raises grey in [0, 1] to a power drawn from exp(U(-strength, strength)), one per slice."""

    def change(self, inputs: Any) -> Any:
        power = ops.exp(
            keras.random.uniform(
                (ops.shape(inputs["images"])[0], 1, 1, 1),
                -self.strength,
                self.strength,
                seed=self.generator,
            )
        )
        return {**inputs, "images": ops.power(ops.clip(inputs["images"], 0.0, 1.0), power)}


@keras.saving.register_keras_serializable(package="lunglens")
class RandomNoise(RandomChange):
    """Adds white noise of a strength drawn from U(0, strength), one per slice."""

    def change(self, inputs: Any) -> Any:
        images = inputs["images"]
        strength = keras.random.uniform(
            (ops.shape(images)[0], 1, 1, 1), 0.0, self.strength, seed=self.generator
        )
        noise = keras.random.normal(ops.shape(images), seed=self.generator)
        return {**inputs, "images": ops.clip(images + strength * noise, 0.0, 1.0)}


@keras.saving.register_keras_serializable(package="lunglens")
class RandomWindow(RandomChange):
    """Moves the levels drawn as black and as white by U(-strength, strength) of the window each, as
    if the slice had been exported with another window; one draw per slice."""

    def change(self, inputs: Any) -> Any:
        images = inputs["images"]
        black, white = (
            keras.random.uniform(
                (ops.shape(images)[0], 1, 1, 1), -self.strength, self.strength, seed=self.generator
            )
            for _ in range(2)
        )
        return {
            **inputs,
            "images": ops.clip((images - black) / (1.0 + white - black), 0.0, 1.0),
        }


@keras.saving.register_keras_serializable(package="lunglens")
class RandomBend(RandomChange):
    """Bends slices smoothly (Simard et al. 2003): a coarse grid of points moves by draws from
    U(-strength, strength) of the smaller side, and all between follows by cubic interpolation.

    Keras has such a layer, but up to 3.15 it bends masks by another draw than their image. Runs
    in NumPy, outside of compiled graphs.
    """

    _POINTS = (4, 5)

    def change(self, inputs: Any) -> Any:
        images = ops.convert_to_numpy(inputs["images"])
        masks = ops.convert_to_numpy(inputs["segmentation_masks"])
        count, rows, columns = images.shape[:3]
        reach = self.strength * min(rows, columns)
        draws = keras.random.uniform((count, 2, *self._POINTS), -reach, reach, seed=self.generator)
        still_y, still_x = np.indices((rows, columns), dtype=np.float32)
        bent_images, bent_masks = np.empty_like(images), np.empty_like(masks)
        for number, (move_y, move_x) in enumerate(ops.convert_to_numpy(draws)):
            y, x = (
                still + cv2.resize(move, (columns, rows), interpolation=cv2.INTER_CUBIC)
                for still, move in ((still_y, move_y), (still_x, move_x))
            )
            bent_images[number, ..., 0] = cv2.remap(images[number], x, y, cv2.INTER_LINEAR)
            for channel in range(masks.shape[-1]):
                bent_masks[number, ..., channel] = cv2.remap(
                    np.ascontiguousarray(masks[number, ..., channel]), x, y, cv2.INTER_NEAREST
                )
        return {
            **inputs,
            "images": ops.convert_to_tensor(bent_images),
            "segmentation_masks": ops.convert_to_tensor(bent_masks),
        }


@keras.saving.register_keras_serializable(package="lunglens")
class RandomClahe(RandomChange):
    """CLAHE with a clip limit drawn from U(0, strength), one per slice; a draw below 1 leaves the
    slice as it is. Runs in NumPy, outside of compiled graphs."""

    def change(self, inputs: Any) -> Any:
        images = np.array(ops.convert_to_numpy(inputs["images"]))
        limits = keras.random.uniform((len(images),), 0.0, self.strength, seed=self.generator)
        for image, limit in zip(images, ops.convert_to_numpy(limits), strict=True):
            if limit < 1.0:
                continue
            grey = np.rint(image[..., 0] * 255.0).astype(np.uint8)
            config = EnhanceConfig(method="clahe", clip_limit=float(limit))
            image[..., 0] = enhance(grey, config) / np.float32(255.0)
        return {**inputs, "images": ops.convert_to_tensor(images)}


def build_augmentation(
    config: AugmentConfig, *, seed: int, sharp: bool = False
) -> list[layers.Layer]:
    """The layers of a config, in order, without those that resample or blur where `sharp`; each
    takes and gives
    `{"images": (n, rows, columns, 1) in [0, 1], "segmentation_masks": (n, rows, columns, c)}`.
    """
    steps: list[layers.Layer] = []
    # float32 whatever the training policy: grey levels and masks must not be rounded to bfloat16.
    exact = {"dtype": "float32"}
    edge = {"fill_mode": "constant", "fill_value": 0.0, **exact}
    bounded = {"value_range": (0.0, 1.0), **exact}
    if config.flip:
        steps.append(layers.RandomFlip("horizontal", seed=seed, **exact))
    if config.rotation_degrees > 0 and not sharp:
        steps.append(layers.RandomRotation(config.rotation_degrees / 360.0, seed=seed + 1, **edge))
    if config.zoom > 0 and not sharp:
        steps.append(layers.RandomZoom(config.zoom, config.zoom, seed=seed + 2, **edge))
    if config.shift > 0 and not sharp:
        steps.append(layers.RandomTranslation(config.shift, config.shift, seed=seed + 3, **edge))
    if config.elastic > 0 and not sharp:
        steps.append(RandomBend(config.elastic, seed=seed + 9, **exact))
    if config.window > 0:
        steps.append(RandomWindow(config.window, seed=seed + 10, **exact))
    if config.clahe > 0:
        steps.append(RandomClahe(config.clahe, seed=seed + 11, **exact))
    if config.brightness > 0:
        steps.append(layers.RandomBrightness(config.brightness, seed=seed + 4, **bounded))
    if config.contrast > 0:
        steps.append(layers.RandomContrast(config.contrast, seed=seed + 5, **bounded))
    if config.gamma > 0:
        steps.append(RandomGamma(config.gamma, seed=seed + 6, **exact))
    if config.blur and not sharp:
        steps.append(
            layers.RandomGaussianBlur(
                factor=0.3, kernel_size=3, sigma=1.0, seed=seed + 7, **bounded
            )
        )
    if config.noise > 0:
        steps.append(RandomNoise(config.noise, seed=seed + 8, **exact))
    return steps


def augment(
    steps: list[layers.Layer],
    images: npt.NDArray[np.float32],
    masks: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Runs the layers over one batch: images (n, rows, columns, 1) in [0, 1] and binary masks
    (n, rows, columns, c), both returned as float32 of the same shapes."""
    batch: dict[str, Any] = {"images": images, "segmentation_masks": masks}
    for step in steps:
        batch = step(batch, training=True)
    return (
        np.asarray(ops.convert_to_numpy(batch["images"]), dtype=np.float32),
        np.asarray(ops.convert_to_numpy(batch["segmentation_masks"]), dtype=np.float32),
    )
