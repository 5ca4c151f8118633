"""Training runs: resumable, recorded, validated on patients that are not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from core.config import MixtureConfig, ScheduleConfig, TrainConfig, from_json_dict, to_json_dict
from core.errors import Cancelled, ConfigError, DatasetError, SaveError, shown_name
from core.measuring.quality import Exclusion, exclusions_record
from core.segmentation.engines.inference import has_fast_bfloat16, prepare_device
from core.segmentation.models import averaged, build_model, supervised
from core.system import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    make_folder,
    never_cancel,
    raise_if_cancelled,
)
from core.training.callbacks import EpochRecorder, RunningMean, TrainingOverlap
from core.training.dataset import SliceBatches
from core.training.fine_tuning import pixels_only, start_from_weights, write_results
from core.training.imagenet import read_encoder, set_encoder
from core.training.losses import build_loss
from core.training.runs import RunPaths, check_or_write_record, read_history, read_record, score
from core.training.scans import leave_out, load_training_scans
from core.training.schedule import learning_rate_at
from core.training.splits import Split, split_as_recorded, split_by_patient


def train(
    data: Path,
    folder: Path,
    config: TrainConfig,
    *,
    recorded_split: Mapping[str, Any] | None = None,
    excluded: Sequence[Exclusion] = (),
    initial: Path | None = None,
    stop_after: int | None = None,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> RunPaths:
    """Trains, or resumes an interrupted run of the same config.

    Args:
        data: see `core.training.dataset`.
        folder: of the run; made if absent.
        recorded_split: of an earlier run, to train and validate on its patients; none draws one.
        excluded: slices and cases used for neither training nor validation; written into
            `run.json`.
        initial: folder of an earlier run of the same architecture, whose best weights this one
            starts from; the earlier run must have held out the same patients.
        stop_after: epoch to stop after, at least 1; the schedule stays that of the whole run, and
            a later call with more resumes. None runs to the end.
        on_progress: called with "training" with finished and total epochs.
        should_cancel: asked before training and after every batch; only the current epoch is then
            lost.

    Raises:
        DatasetError: no data, or the folder holds a run of another config or a damaged one.
        SaveError: the folder cannot be made or written into.
        Cancelled: the person asked to stop; the same call resumes later.
    """
    paths = RunPaths(folder)
    make_folder(folder, option="--out folder")
    keras.utils.set_random_seed(config.seed)
    split = load_split(
        data, config, recorded_split=recorded_split, excluded=excluded, on_progress=on_progress
    )
    wanted = _record(config, split, initial=_initial_record(initial, split), excluded=excluded)
    check_or_write_record(paths, wanted, lambda record: _comparable(record, wanted))
    # Whoever stopped the run while cases were read need not wait for the network to be built.
    raise_if_cancelled(should_cancel, "training")
    done = len(read_history(paths.history))
    devices = share_batches(config.batch_size)
    batches = SliceBatches(split.train, config, epoch=done, only_full=devices > 1)
    if done:
        model = load_network(paths.last, for_training=True)
    else:
        model = _start_model(paths, config, initial, split, steps_per_epoch=len(batches))
    last = min(config.epochs, stop_after or config.epochs)
    if done < last:
        mean = RunningMean(paths.mean, config.average_momentum)
        recorder = EpochRecorder(paths, split.validation, config, mean, on_progress, should_cancel)
        fit_epochs(model, batches, [mean, recorder], first=done, last=last)
        if recorder.stopped:
            raise Cancelled("training")
    if last == config.epochs:
        write_results(paths, "best", load_best_model(paths), split.validation, config)
    return paths


def _start_model(
    paths: RunPaths,
    config: TrainConfig,
    initial: Path | None,
    split: Split,
    *,
    steps_per_epoch: int,
) -> keras.Model:
    model = build_compiled(config, _schedule(config, steps_per_epoch=steps_per_epoch))
    # What a run killed in its first epoch may have left behind.
    paths.mean.unlink(missing_ok=True)
    if initial is not None:
        _copy_weights(model, initial)
        averaged(model).save(paths.initial)
    if config.initial_weights:
        write_results(paths, "before", averaged(model), split.validation, config)
    return model


def fit_epochs(
    model: keras.Model,
    batches: keras.utils.PyDataset,
    callbacks: list[keras.callbacks.Callback],
    *,
    first: int,
    last: int,
) -> None:
    """Trains from epoch `first`, counted from 0, up to `last`.

    Args:
        batches: one epoch; it shuffles by itself.
        callbacks: they write into the run folder.

    Raises:
        SaveError: the run folder cannot be written into.
    """
    try:
        model.fit(
            batches,
            epochs=last,
            initial_epoch=first,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
    except OSError as error:
        raise SaveError(
            "The run folder cannot be written into any more",
            got=error.strerror or "a write error",
            expected="a folder with free space",
            next_step="free some space and run the same command again",
        ) from error


def share_batches(batch_size: int, *, kind: str = "gpu") -> int:
    """Lets all devices of a kind share each batch (data parallelism of Keras), where the backend
    is JAX and there are several; on other backends Keras runs on one device.

    Returns:
        How many devices share a batch.

    Raises:
        ConfigError: the batch cannot be divided evenly.
    """
    if keras.backend.backend() != "jax":
        return 1
    devices = keras.distribution.list_devices(kind)
    if len(devices) < 2:
        return 1
    if batch_size % len(devices):
        raise ConfigError(
            "The batch cannot be divided among all devices",
            got=f"{batch_size} slices for {len(devices)} devices",
            expected=f"a multiple of {len(devices)}",
            next_step="set --batch-size",
        )
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    return len(devices)


def load_split(
    data: Path,
    config: TrainConfig,
    *,
    recorded_split: Mapping[str, Any] | None = None,
    excluded: Sequence[Exclusion] = (),
    on_progress: OnProgress = ignore_progress,
) -> Split:
    """The training and the validation scans of a data folder, without what is excluded.

    Raises:
        DatasetError, LoadError: see `core.training.dataset`.
    """
    scans = load_training_scans(data, config.preprocess, on_progress=on_progress)
    scans = leave_out(scans, excluded)
    if recorded_split is not None:
        return split_as_recorded(scans, recorded_split)
    return split_by_patient(scans, validation_fraction=config.validation_fraction, seed=config.seed)


def load_best_model(paths: RunPaths) -> keras.Model:
    """The network of a run's best epoch, for prediction.

    Raises:
        DatasetError: it is missing or cannot be read.
    """
    return load_network(paths.best, for_training=False)


def load_published_model(paths: RunPaths, *, initial_share: float) -> keras.Model:
    """The best epoch's network, its weights mixed with those that the run started from.

    Between a network and its fine-tuned self the mean of the weights often does better on unseen
    data than either (Wortsman et al. 2022, arXiv:2109.01903).

    Raises:
        DatasetError: a network is missing or cannot be read.
    """
    model = load_best_model(paths)
    if initial_share == 0.0:
        return model
    start = load_network(paths.initial, for_training=False).get_weights()
    model.set_weights(
        [
            (1.0 - initial_share) * best + initial_share * first
            for best, first in zip(model.get_weights(), start, strict=True)
        ]
    )
    return model


def load_network(path: Path, *, for_training: bool) -> keras.Model:
    """A network that a run has written; with optimizer and losses where it is to be trained.

    Raises:
        DatasetError: it is missing or cannot be read.
    """
    try:
        return keras.models.load_model(path, compile=for_training, safe_mode=True)
    except MemoryError:
        raise
    except Exception as error:  # Keras raises whatever a damaged file causes
        raise DatasetError(
            "The network of the run cannot be read",
            got=f"a {'damaged' if path.is_file() else 'missing'} {shown_name(path)}",
            expected="the file that training wrote",
            next_step="restore it or choose another run folder",
        ) from error


@keras.saving.register_keras_serializable(package="lunglens")
class LearningRateSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """`core.training.schedule` for an optimizer; arguments as there."""

    def __init__(
        self, config: dict[str, Any], *, peak: float, warmup_steps: int, total_steps: int
    ) -> None:
        self._config = from_json_dict(ScheduleConfig, config)
        self._numbers: dict[str, Any] = {
            "peak": peak,
            "warmup_steps": warmup_steps,
            "total_steps": total_steps,
        }

    def __call__(self, step: Any) -> Any:
        step = keras.ops.cast(step, "float32")
        return learning_rate_at(step, self._config, ops=keras.ops, **self._numbers)

    def get_config(self) -> dict[str, Any]:
        return {"config": to_json_dict(self._config), **self._numbers}


def on_gpu() -> bool:
    """Whether the backend of Keras computes on a GPU."""
    if keras.backend.backend() == "jax":
        return any(name.startswith("gpu") for name in keras.distribution.list_devices())
    return prepare_device().startswith("GPU")


def build_in_precision(config: TrainConfig | MixtureConfig) -> keras.Model:
    """A new network in the config's precision; the policy of Keras stays as it was."""
    is_plain = config.model.encoder == "plain"
    is_faster = has_fast_bfloat16() and (is_plain or prepare_device().startswith("GPU"))
    wants_bfloat16 = config.precision == "mixed_bfloat16" or (
        config.precision == "auto" and is_faster
    )
    return build_model(
        config.model,
        rows=config.preprocess.rows,
        columns=config.preprocess.columns,
        precision="bfloat16" if wants_bfloat16 else "float32",
    )


def start_encoder(model: keras.Model, config: TrainConfig | MixtureConfig) -> None:
    """Gives a new network's encoder what it learned on ImageNet, where the config asks for it.

    Raises:
        WeightsError: the encoder's arrays are not installed, or are damaged.
    """
    if config.pretrained and config.model.encoder != "plain":
        set_encoder(model, read_encoder(config.model.encoder))


def build_compiled(config: TrainConfig, learning_rate: Any) -> keras.Model:
    """A new network with all its heads as outputs, with optimizer, loss and metrics.

    Args:
        learning_rate: a number or a schedule.
    """
    model = build_in_precision(config)
    if config.initial_weights:
        start_from_weights(model, config)
    else:
        start_encoder(model, config)
    trained = supervised(pixels_only(model))
    optimizer = keras.optimizers.AdamW(
        learning_rate, weight_decay=config.weight_decay, global_clipnorm=1.0
    )
    trained.compile(
        optimizer=optimizer,
        loss=build_loss(config.loss),
        metrics=[TrainingOverlap()],
        jit_compile=False,
    )
    return trained


def _schedule(config: TrainConfig, *, steps_per_epoch: int) -> LearningRateSchedule:
    return LearningRateSchedule(
        to_json_dict(config.schedule),
        peak=config.learning_rate,
        warmup_steps=config.warmup_epochs * steps_per_epoch,
        total_steps=config.epochs * steps_per_epoch,
    )


def _initial_record(initial: Path | None, split: Split) -> dict[str, Any] | None:
    """What the manifest records of the run that this one starts from.

    Raises:
        DatasetError: it was trained on a validation patient of this run.
    """
    if initial is None:
        return None
    earlier = RunPaths(initial)
    record = read_record(earlier.config)
    trained_on = set(record["split"]["train"]["patients"])
    held_out = {scan.patient_id for scan in split.validation if scan.role == "case"}
    if trained_on & held_out:
        raise DatasetError(
            "The earlier run was trained on validation patients of this one",
            got=f"{len(trained_on & held_out)} such patients",
            expected="none",
            next_step="pass its run.json with --split as well",
        )
    history = read_history(earlier.history)
    best = max(history, key=score)["epoch"] if history else 0
    return {
        "config": record["config"],
        "epochs_done": len(history),
        "best_epoch": best,
        "initial": record["initial"],
    }


def _copy_weights(model: keras.Model, initial: Path) -> None:
    weights = load_best_model(RunPaths(initial)).get_weights()
    if [array.shape for array in weights] != [array.shape for array in model.get_weights()]:
        raise DatasetError(
            "Training cannot continue from the earlier run",
            got="a network of another shape",
            expected="the same depth, width and normalisation",
        )
    model.set_weights(weights)


def _record(
    config: TrainConfig,
    split: Split,
    *,
    initial: dict[str, Any] | None,
    excluded: Sequence[Exclusion],
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "config": to_json_dict(config),
        "split": split.to_json_dict(),
        "initial": initial,
    }
    if excluded:
        record["excluded"] = exclusions_record(excluded)
    return record


def _comparable(record: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    # Settings that are newer than the run have the defaults that it was trained with.
    found = {key: record[key] for key in (*wanted, "excluded") if key in record}
    found["config"] = to_json_dict(from_json_dict(TrainConfig, record["config"]))
    # How weights are published does not affect training.
    found["config"]["published"] = wanted["config"]["published"]
    return found
