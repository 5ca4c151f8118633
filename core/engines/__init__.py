"""Engines: what computes the network."""

from core.engines.choose import choose_engine, load_engine
from core.engines.protocol import Engine

__all__ = ["Engine", "choose_engine", "load_engine"]
