"""The trained network, loaded once per process and shared by all who ask for it."""

from __future__ import annotations

import threading

from core.config import EngineName, SegmentConfig
from core.segmentation.engines import Engine, default_engine, load_engine
from core.segmentation.weights import find_weights

_loading = threading.Lock()
_segmenters: dict[tuple[str, str, str], Engine] = {}
_MAX_SEGMENTERS = 2


def load_segmenter(weights_id: str | None = None, *, engine: EngineName | None = None) -> Engine:
    """The trained network of that id, or the default one, loaded and warmed up once per process.

    Args:
        engine: what computes it; none takes what the environment asks for, else what is fastest.

    Raises:
        WeightsError: weights are missing, damaged or unknown.
        ConfigError: the engine asked for is not installed.
        EngineUnavailable: the engine asked for does not start here, or cannot run this network.
    """
    info = find_weights(weights_id)
    engine = engine or default_engine()
    with _loading:
        key = (str(info.folder), info.sha256, engine)
        if key not in _segmenters:
            segmenter = load_engine(info, engine)
            segmenter.warm_up(SegmentConfig().batch_size)
            while len(_segmenters) >= _MAX_SEGMENTERS:
                del _segmenters[next(iter(_segmenters))]
            _segmenters[key] = segmenter
        return _segmenters[key]
