"""Engines: what computes the network."""

from core.segmentation.engines.choose import (
    ENGINE_VARIABLE,
    choose_engine,
    default_engine,
    load_engine,
)
from core.segmentation.engines.protocol import Engine, Prediction

__all__ = [
    "ENGINE_VARIABLE",
    "Engine",
    "Prediction",
    "choose_engine",
    "default_engine",
    "load_engine",
]
