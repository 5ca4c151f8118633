"""The networks that are trained: the one that is shipped, its seeds, and what it is compared
with."""

from __future__ import annotations

from core.classification.config import ClassifierModelConfig
from core.classification.learning.config import Job

_BOTH = ClassifierModelConfig()
_ATTENTION = ClassifierModelConfig(attention=True)
_POOLING = ClassifierModelConfig(masks="pooling")
_NONE = ClassifierModelConfig(masks="none")


def plan_jobs() -> tuple[Job, ...]:
    """In the order in which they are trained: first what is needed, then what it is compared
    with."""
    return (
        Job("both-train-1", _BOTH),
        Job("both-ucsd-1", _BOTH, sets=("ucsd",), effort=0.6),
        Job("both-sars-1", _BOTH, sets=("sars",), effort=0.6),
        Job("both-all-1", _BOTH, all_sides=True),
        Job("both-train-2", _BOTH, seed=2, rate=0.5),
        Job("both-all-2", _BOTH, all_sides=True, seed=2, rate=0.5),
        Job("none-train-1", _NONE),
        Job("pooling-train-1", _POOLING),
        Job("attention-train-1", _ATTENTION),
        Job("none-ucsd-1", _NONE, sets=("ucsd",), effort=0.6),
        Job("none-sars-1", _NONE, sets=("sars",), effort=0.6),
    )
