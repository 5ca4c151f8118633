"""The networks that are trained: the one that is shipped, its seeds, and what it is compared
with."""

from __future__ import annotations

from core.classification.config import ClassifierModelConfig
from core.classification.learning.config import Job

_BOTH = ClassifierModelConfig()
_ATTENTION = ClassifierModelConfig(attention=True)
_POOLING = ClassifierModelConfig(masks="pooling")
_NONE = ClassifierModelConfig(masks="none")


def plan_queues() -> tuple[tuple[Job, ...], ...]:
    """Jobs in the order in which they are trained; the queues run beside each other, and each has
    networks of one shape."""
    return (
        (
            Job("both-train-1", _BOTH),
            Job("both-all-1", _BOTH, all_sides=True),
            Job("both-train-3", _BOTH, seed=3, optional=True),
            Job("both-all-3", _BOTH, all_sides=True, seed=3, optional=True),
        ),
        (
            Job("both-train-2", _BOTH, seed=2, rate=0.4),
            Job("both-all-2", _BOTH, all_sides=True, seed=2, rate=0.4),
            Job("imagenet-train-1", _BOTH, start="imagenet", optional=True),
        ),
        (
            Job("both-ucsd-1", _BOTH, sets=("ucsd",), effort=0.6),
            Job("both-sars-1", _BOTH, sets=("sars",), effort=0.6),
            Job("both-train-4", _BOTH, seed=4, optional=True),
            Job("both-all-4", _BOTH, all_sides=True, seed=4, optional=True),
        ),
        (
            Job("attention-train-1", _ATTENTION),
            Job("attention-all-1", _ATTENTION, all_sides=True),
            Job("attention-train-2", _ATTENTION, seed=2, rate=0.4, optional=True),
        ),
        (
            Job("pooling-train-1", _POOLING),
            Job("pooling-all-1", _POOLING, all_sides=True),
            Job("pooling-train-2", _POOLING, seed=2, rate=0.4, optional=True),
        ),
        (
            Job("none-train-1", _NONE),
            Job("none-ucsd-1", _NONE, sets=("ucsd",), effort=0.6),
            Job("none-sars-1", _NONE, sets=("sars",), effort=0.6),
        ),
    )


def as_trial(queues: tuple[tuple[Job, ...], ...]) -> tuple[tuple[Job, ...], ...]:
    """The first job of the first two queues, to see that all works."""
    return tuple(queue[:1] for queue in queues[:2])
