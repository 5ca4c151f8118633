"""From a config to a network."""

from __future__ import annotations

import keras

from core.config import ModelConfig
from core.errors import ConfigError
from core.segmentation.models.ensemble import BUILDERS, build_ensemble, build_member


def build_model(config: ModelConfig, *, rows: int, columns: int) -> keras.Model:
    """The network a config names, for inputs of a fixed size.

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
    if config.members > 1:
        return build_ensemble(config, rows=rows, columns=columns)
    return build_member(config, rows=rows, columns=columns)
