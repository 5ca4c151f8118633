"""Training that starts from weights: the config that fits them, and what they have met before."""

from __future__ import annotations

from typing import Any

from core.config import PublishConfig, TrainConfig
from core.errors import WeightsError
from core.segmentation import WeightsInfo

FINE_TUNING = TrainConfig(
    epochs=8,
    learning_rate=1e-4,
    warmup_epochs=1,
    slices_per_patient=24,
    validation_slices=48,
    average_momentum=0.95,
    published=PublishConfig(smooth_sigma=0.0),
)
"""What fine-tuning begins with: eight cases learned from and two kept out are 192 steps, which take
about ten minutes on two cores."""


def can_start_from(info: WeightsInfo) -> bool:
    """Whether training can start from these weights: one network, not a mean of several."""
    return info.model.members == 1


def fine_tuning_config(
    info: WeightsInfo,
    *,
    epochs: int = FINE_TUNING.epochs,
    learning_rate: float = FINE_TUNING.learning_rate,
    frozen_encoder: bool = False,
    seed: int = FINE_TUNING.seed,
) -> TrainConfig:
    """The config of a run that starts from weights, with their network and preprocessing.

    Args:
        frozen_encoder: the encoder stays as it is, and only the expanding half learns.

    Raises:
        WeightsError: training cannot start from these weights.
        ConfigError: the encoder is to stay, and there is none.
    """
    if not can_start_from(info):
        raise WeightsError(
            "Training cannot start from these weights",
            got=f"the mean of {info.model.members} networks",
            expected="one network",
        )
    return TrainConfig(
        model=info.model,
        preprocess=info.preprocess,
        augment=FINE_TUNING.augment,
        epochs=epochs,
        learning_rate=learning_rate,
        warmup_epochs=min(FINE_TUNING.warmup_epochs, epochs - 1),
        slices_per_patient=FINE_TUNING.slices_per_patient,
        validation_slices=FINE_TUNING.validation_slices,
        average_momentum=FINE_TUNING.average_momentum,
        published=PublishConfig(
            smooth_sigma=info.preprocess.smooth_sigma,
            infection_threshold=info.postprocess.infection_threshold,
            neighbour_share=info.postprocess.neighbour_share,
        ),
        initial_weights=info.weights_id,
        frozen_encoder=frozen_encoder,
        seed=seed,
    )


def joined_with_earlier(split: dict[str, Any], info: WeightsInfo) -> dict[str, Any]:
    """The split that fine-tuned weights record: who was trained on in the run or before it, and
    who was held out from both."""
    earlier = info.manifest.get("split")
    before = earlier.get("train") if isinstance(earlier, dict) else None
    known = before if isinstance(before, dict) else {}
    train = {
        role: sorted({*map(str, names), *map(str, known.get(role) or ())})
        for role, names in split["train"].items()
    }
    validation = {
        role: sorted(set(names) - set(train.get(role, ())))
        for role, names in split["validation"].items()
    }
    return {"train": train, "validation": validation}


def met_before(patients: list[str], info: WeightsInfo) -> list[str]:
    """Which of these patients the weights were trained on."""
    earlier = info.manifest.get("split")
    before = earlier.get("train") if isinstance(earlier, dict) else None
    known = set(map(str, before.get("patients") or ())) if isinstance(before, dict) else set()
    return [patient for patient in patients if patient in known]
