"""Arrays that an encoder learned on ImageNet, as Keras names them.

They lie in `weights/encoder-NAME`, converted once from the authors' arrays and stored as float16;
the folder's card says where they came from and under which licence.
"""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from core.config import EncoderName
from core.errors import WeightsError
from core.segmentation import MANIFEST_NAME, UNREADABLE_NPZ
from core.segmentation.weights_files import ARRAYS_NAME, file_sha256
from core.system import WEIGHTS_FOLDER

KIND = "encoder"
_STEM = "stem_conv/kernel"


def read_encoder(
    name: EncoderName, *, folder: Path = WEIGHTS_FOLDER
) -> dict[str, npt.NDArray[np.float32]]:
    """Arrays by "layer/variable"; the stem's kernel is (3, 3, 3, filters), for red, green, blue.

    Raises:
        WeightsError: there are none, or they are damaged.
    """
    place = folder / f"encoder-{name}"
    try:
        manifest = json.loads((place / MANIFEST_NAME).read_text(encoding="utf-8"))
        if file_sha256(place / ARRAYS_NAME) != manifest["file"]["sha256"]:
            raise ValueError("another sha256")
        with np.load(place / ARRAYS_NAME, allow_pickle=False) as stored:
            return {path: stored[path].astype(np.float32) for path in stored.files}
    except UNREADABLE_NPZ as error:
        raise WeightsError(
            f"The arrays of encoder {name} cannot be read",
            got=type(error).__name__,
            expected=f"{place.name}/{ARRAYS_NAME}, as its manifest says",
            next_step="restore them from the repository, or train with pretrained off",
        ) from error


def set_encoder(model: keras.Model, arrays: dict[str, npt.NDArray[np.float32]]) -> None:
    """Gives a network's encoder the arrays of `read_encoder`.

    A network of grey slices gets the sum of the kernels for red, green and blue, as if the same
    slice were shown to all three; one that sees neighbouring slices gets them as they are.

    Raises:
        WeightsError: the network has another encoder.
    """
    variables = {variable.path: variable for variable in model.weights}
    for path, array in arrays.items():
        if path == _STEM and path in variables and variables[path].shape[2] == 1:
            array = array.sum(axis=2, keepdims=True)
        if path not in variables or tuple(variables[path].shape) != array.shape:
            raise WeightsError(
                "The encoder's arrays do not fit the network",
                got=f"{path} of shape {array.shape}",
                expected="the arrays of the encoder that the network's config names",
            )
        variables[path].assign(array)
