"""Training all networks of a plan beside each other within a given time.

Each queue is a process with networks of one shape. What a job has found is written when it ends,
so that a queue that fails costs the others nothing.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tarfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any

import numpy as np
import numpy.typing as npt

from core.classification.learning.arrays import Arrays, save_arrays
from core.classification.learning.config import Job, LearnConfig
from core.classification.learning.pack import read_pack
from core.segmentation import read_arrays
from core.segmentation.weights import read_manifest
from core.system import make_folder, write_text

RESULTS_NAME = "results.tar"
_WAIT_FOR_OTHERS = 90.0
_TO_END = 8.0
"""Seconds kept for predicting and writing."""
_FEWEST = 0.7
"""An optional job runs only with at least this share of its steps."""
_TRIAL_EPOCHS = 2


@dataclass(frozen=True)
class QueueRun:
    """What every process is told.

    Attributes:
        start: folder of the segmentation weights whose encoder networks start from.
        until: time of the clock when all must be written.
    """

    pack: str
    out: str
    start: str
    until: float
    config: LearnConfig
    workers: int


def run_queues(
    pack: Path,
    out: Path,
    queues: Sequence[Sequence[Job]],
    config: LearnConfig,
    *,
    start: Path,
    seconds: float,
    workers: int = 3,
) -> list[str]:
    """Trains all networks of a plan; results lie in `out`.

    Args:
        pack: of `write_pack`.
        seconds: for everything together.
        workers: threads that prepare pictures, of each queue.

    Returns:
        A line on each network.
    """
    make_folder(out, option="--out folder")
    os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 / len(queues):.2f}"
    run = QueueRun(str(pack), str(out), str(start), time.time() + seconds, config, workers)
    spawning = multiprocessing.get_context("spawn")
    barrier = spawning.Barrier(len(queues))
    processes = [
        spawning.Process(target=_run_queue, args=(tuple(queue), run, number, barrier))
        for number, queue in enumerate(queues)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=max(1.0, run.until + 20 - time.time()))
        if process.is_alive():
            process.terminate()
    return _bundle(out)


def _run_queue(queue: tuple[Job, ...], run: QueueRun, number: int, barrier: Any) -> None:
    try:
        _train_queue(queue, run, barrier)
    except BaseException:
        barrier.abort()
        write_text(Path(run.out) / f"error-{number}.txt", traceback.format_exc())
        raise


def _train_queue(queue: tuple[Job, ...], run: QueueRun, barrier: Any) -> None:
    from core.classification.learning.fit import Trainer, training_part

    pictures = read_pack(Path(run.pack))
    starts = _starts(run.start)
    trainer = Trainer(queue[0].model, run.config)
    first = training_part(pictures, queue[0])
    trainer.train(first, queue[0], starts[queue[0].start], epochs=1, workers=run.workers)
    trainer.logits(pictures.of(np.arange(1)))
    compiled = time.time()
    with suppress(BrokenBarrierError):  # another queue failed or is late: this one goes on
        barrier.wait(_WAIT_FOR_OTHERS)
    seconds = trainer.train(
        first, queue[0], starts[queue[0].start], epochs=_TRIAL_EPOCHS, workers=run.workers
    )
    epoch_seconds = seconds / _TRIAL_EPOCHS
    left = [job.effort for job in queue if not job.optional]
    for job in queue:
        wanted = run.config.epochs * job.effort
        time_left = run.until - time.time() - _TO_END
        if job.optional:
            affordable = time_left / epoch_seconds
            if affordable < _FEWEST * wanted:
                continue
        else:
            affordable = time_left / epoch_seconds * job.effort / sum(left)
            left.pop(0)
        epochs = max(2, int(min(wanted, affordable)))
        part = training_part(pictures, job)
        seconds = trainer.train(part, job, starts[job.start], epochs=epochs, workers=run.workers)
        epoch_seconds = seconds / epochs
        logits = trainer.logits(pictures)
        place = Path(run.out) / job.name
        save_arrays(place.with_suffix(".npz"), trainer.arrays())
        np.save(place.with_suffix(".npy"), logits.astype(np.float32))
        facts = {
            "job": asdict(job),
            "start": Path(run.start).name,
            "epochs": epochs,
            "steps": epochs * run.config.steps,
            "seconds": seconds,
            "compiled_at": run.until - compiled,
            "pictures": len(part.labels),
            **_scores(pictures, logits),
        }
        write_text(place.with_suffix(".json"), json.dumps(facts, indent=1))


def _starts(weights: str) -> dict[str, Arrays | None]:
    from core.training.imagenet import read_encoder

    return {
        "segmentation": read_arrays(read_manifest(Path(weights))),
        "imagenet": read_encoder("lite0"),
        "random": None,
    }


def _scores(pictures: Any, logits: npt.NDArray[np.float64]) -> dict[str, float]:
    from core.classification.metrics import area_under_curve

    found = {}
    for source in ("ucsd", "sars"):
        for side in ("train", "validation"):
            own = (pictures.sources == source) & (pictures.sides == side)
            found[f"auc {source} {side}"] = area_under_curve(pictures.labels[own], logits[own])
    return found


def _bundle(out: Path) -> list[str]:
    """Predictions and facts in one file, arrays two networks a file; returns a line on each."""
    lines = []
    with tarfile.open(out / RESULTS_NAME, "w") as tar:
        for place in sorted([*out.glob("*.json"), *out.glob("*.npy"), *out.glob("error-*.txt")]):
            tar.add(place, arcname=place.name)
            if place.suffix == ".json":
                lines.append(_line(place.stem, json.loads(place.read_text(encoding="utf-8"))))
            elif place.suffix == ".txt":
                lines.append(place.read_text(encoding="utf-8").strip().splitlines()[-1])
            place.unlink()
    _pair_arrays(out)
    return lines


def _line(name: str, facts: dict[str, Any]) -> str:
    scores = ", ".join(f"{key[4:]} {value:.3f}" for key, value in facts.items() if "auc " in key)
    return f"{name}: {facts['steps']} steps in {facts['seconds']:.0f} s; AUC {scores}"


def _pair_arrays(out: Path) -> None:
    """One file for the network of the training side and that of all pictures; the arrays of
    networks that are only compared with are not kept."""
    for place in sorted(out.glob("*-*-*.npz"), reverse=True):  # "train" before "all"
        variant, part, seed = place.stem.split("-")
        if part == "all" or (out / f"{variant}-all-{seed}.npz").is_file():
            held = {}
            if (out / f"{variant}-{seed}.npz").is_file():
                with np.load(out / f"{variant}-{seed}.npz", allow_pickle=False) as stored:
                    held = {name: stored[name] for name in stored.files}
            with np.load(place, allow_pickle=False) as stored:
                held |= {f"{part}/{name}": stored[name] for name in stored.files}
            with (out / f"{variant}-{seed}.npz").open("wb") as file:
                np.savez(file, **held)
        place.unlink()


def trial_config(config: LearnConfig) -> LearnConfig:
    """Next to no steps, to see that all works."""
    return replace(config, epochs=2, steps=1, batch_size=4)
