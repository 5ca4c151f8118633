"""From a config to a network."""

from __future__ import annotations

import keras

from core.config import ModelConfig, Precision
from core.errors import ConfigError
from core.segmentation.models.ensemble import BUILDERS, build_ensemble, build_member

_POLICIES: dict[Precision, str] = {
    "auto": "float32",
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
}


def build_model(
    config: ModelConfig, *, rows: int, columns: int, precision: Precision = "float32"
) -> keras.Model:
    """The network a config names, for inputs of a fixed size.

    Args:
        precision: what its layers compute in; its arrays and its outputs are float32 in any case.

    Raises:
        ConfigError: there is no such network, or the config does not fit it or the size.
    """
    if config.architecture not in BUILDERS:
        raise ConfigError(
            "Unknown architecture", got=config.architecture, expected=" or ".join(BUILDERS)
        )
    if config.deep_supervision and config.architecture != "unetpp":
        raise ConfigError(
            "Deep supervision needs heads at several depths",
            got=config.architecture,
            expected="unetpp",
        )
    if config.encoder == "plain" and config.slice_head:
        raise ConfigError(
            "A slice head needs an encoder", got="encoder plain", expected="lite0, lite1 or lite2"
        )
    previous = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(_POLICIES[precision])
    try:
        build = build_ensemble if config.members > 1 else build_member
        return build(config, rows=rows, columns=columns)
    finally:
        keras.mixed_precision.set_dtype_policy(previous)
