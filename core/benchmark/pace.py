"""Slices a second of the Keras engine, by batch size; the process that `backends` starts.

`python -m core.benchmark.pace WEIGHTS SECONDS SIZE…` prints JSON. Backend and precision come from
the environment. The slices are noise: the time does not depend on what they show.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from core.segmentation import find_weights


def measure_pace(weights_id: str | None, sizes: list[int], *, seconds: float) -> list[float]:
    """Slices a second for each batch size, with what the engine does around the network."""
    # Imported here: Keras takes seconds.
    from core.segmentation.engines.choose import load_engine

    engine = load_engine(find_weights(weights_id), "keras")
    rows, columns = engine.preprocess.rows, engine.preprocess.columns
    generator = np.random.default_rng(0)
    paces = []
    for size in sizes:
        frames = generator.integers(0, 256, (size, rows, columns), dtype=np.uint8)
        engine.predict(frames, batch_size=size)
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            engine.predict(frames, batch_size=size)
            count += size
        paces.append(round(count / (time.perf_counter() - begun), 2))
    return paces


if __name__ == "__main__":
    weights, duration, *wanted = sys.argv[1:]
    found = measure_pace(weights or None, [int(size) for size in wanted], seconds=float(duration))
    print(json.dumps({"slices_per_second": found}))
