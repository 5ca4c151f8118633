"""From a config to a network."""

from __future__ import annotations

import keras

from core.config import ModelConfig
from core.errors import ConfigError
from core.segmentation.models.ensemble import BUILDERS, build_ensemble


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
    if config.members > 1:
        return build_ensemble(config, rows=rows, columns=columns)
    return BUILDERS[config.architecture](config, rows=rows, columns=columns)
