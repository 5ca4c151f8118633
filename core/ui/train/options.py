"""The widgets for what is to be trained: cases, network, loss, learning rate, changes."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import streamlit as st

from core.config import (
    AUGMENT_PRESETS,
    DEMO_CASES,
    TRAIN_PRESETS,
    TRAIN_RANGES,
    AugmentConfig,
    LossConfig,
    ModelConfig,
    PreprocessConfig,
    ScheduleConfig,
    TrainConfig,
)
from core.measuring.quality import Exclusion
from core.training import DEMO_DATA, RunRequest
from core.ui.data_folder import load_cases
from core.ui.own_cases import own_cases_folder
from core.ui.page import show_errors
from core.ui.quality.leaving_out import left_out
from core.ui.session import this_session
from core.ui.settings import Settings
from core.ui.train.access import cases_folder
from core.ui.widget_state import set_first_value

_REAL, _OWN, _GENERATED = "Data folder", "Own cases", "Generated"
_SIZES = {"96": "96 × 128", "192": "192 × 256"}
_ARCHITECTURES = {"unet": "U-Net", "unetpp": "U-Net++"}
_ENCODERS = {"plain": "Own, from scratch", "lite0": "EfficientNet-Lite0, pretrained"}
_LOSSES = {
    "bce_dice": "BCE + Dice",
    "bce": "BCE",
    "dice": "Dice",
    "tversky": "Tversky",
    "focal_tversky": "Focal Tversky",
}
_SCHEDULES = {
    "constant": "Constant",
    "exponential": "Exponential",
    "cosine": "Cosine",
    "cosine_restarts": "Cosine with restarts",
}
_CHANGES = {**{preset.name.lower(): preset.name for preset in AUGMENT_PRESETS}, "tuned": "Tuned"}


def read_settings() -> Settings:
    """The settings of this session; at first those of the first preset."""
    settings = Settings(
        "train", _flat(TRAIN_PRESETS[0].config), lambda values: build_config(values)
    )
    session = this_session()
    if session.tuned_is_new:
        settings.set({"input": "tuned"})
        session.tuned_is_new = False
    return settings


def _flat(config: TrainConfig) -> dict[str, Any]:
    return {
        "architecture": config.model.architecture,
        "encoder": config.model.encoder,
        "depth": min(config.model.depth, TRAIN_RANGES["depth"].high),
        "width": config.model.width,
        "deep_supervision": config.model.deep_supervision,
        "size": str(config.preprocess.rows),
        "input": "usual",
        "loss": config.loss.kind,
        "loss_alpha": config.loss.alpha,
        "loss_gamma": config.loss.gamma,
        "schedule": config.schedule.kind,
        "final_share": config.schedule.final_share,
        "cycles": config.schedule.cycles,
        "cycle_growth": config.schedule.cycle_growth,
        "learning_rate": config.learning_rate,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "warmup_epochs": config.warmup_epochs,
        "average_momentum": config.average_momentum,
        "slices_per_patient": config.slices_per_patient,
        "changes": "usual",
    }


def build_config(values: dict[str, Any]) -> TrainConfig:
    """The config that the widgets stand for.

    Raises:
        ConfigError: a value makes no sense.
    """
    rows = 96 if values["size"] == "96" else 192
    changes = {preset.name.lower(): preset.config for preset in AUGMENT_PRESETS}
    usual = AugmentConfig()
    changes["tuned"] = this_session().tuned_augmentation or usual
    is_nested = values["architecture"] == "unetpp"
    has_encoder = values["encoder"] != "plain"
    base = TrainConfig()
    return replace(
        base,
        model=ModelConfig(
            architecture=values["architecture"],
            encoder=values["encoder"],
            depth=5 if has_encoder else values["depth"],
            width=values["width"],
            max_filters=96 if has_encoder else 0,
            deep_supervision=is_nested and values["deep_supervision"],
        ),
        preprocess=replace(_input(values, base), rows=rows, columns=rows * 4 // 3),
        augment=changes.get(values["changes"], usual),
        loss=LossConfig(values["loss"], alpha=values["loss_alpha"], gamma=values["loss_gamma"]),
        schedule=ScheduleConfig(
            values["schedule"],
            final_share=values["final_share"],
            cycles=values["cycles"],
            cycle_growth=values["cycle_growth"],
        ),
        **{
            name: values[name]
            for name in (
                "learning_rate", "epochs", "batch_size", "warmup_epochs", "average_momentum",
                "slices_per_patient",
            )
        },
    )  # fmt: skip


def _input(values: dict[str, Any], base: TrainConfig) -> PreprocessConfig:
    """The usual preprocessing, or that taken over from Preprocess."""
    tuned = this_session().tuned_preprocess
    return tuned if values["input"] == "tuned" and tuned is not None else base.preprocess


def choose_preset(settings: Settings) -> None:
    """Buttons that set everything at once."""
    with st.container(horizontal=True, gap="small"):
        for preset in TRAIN_PRESETS:
            flat = _flat(preset.config)
            fixed = flat.keys() - {"changes", "input"}
            is_set = all(settings.values[name] == flat[name] for name in fixed)
            st.button(
                preset.name,
                key=f"train-preset-{preset.name}",
                type="primary" if is_set else "secondary",
                help=preset.note,
                on_click=settings.set,
                args=({k: v for k, v in flat.items() if k in fixed},),
            )


def show_tuned_input(settings: Settings) -> None:
    """Once all is chosen: that the input is the one taken over from Preprocess."""
    if settings.values["input"] == "tuned" and this_session().tuned_preprocess is not None:
        st.caption(
            "The network's input is **Tuned**, as chosen on Preprocess; **Network and loss** "
            "has the way back to the usual window."
        )


def choose_cases(config: TrainConfig) -> RunRequest | None:
    """Which patients train, validate and are left out; none where too few are left."""
    folder, patients = _choose_patients()
    names = sorted(patients)
    validation = st.multiselect(
        "Validation patients",
        names,
        key=f"train-validation-{_name_of(folder)}",
        persist_state="session",
        default=names[3::4] or names[-1:],
        help="Patients that the network is not trained on; it is evaluated on them after each "
        "epoch. Cases of one patient always stay together.",
    )
    unused = st.multiselect(
        "Left out",
        [name for name in names if name not in validation],
        key=f"train-unused-{_name_of(folder)}",
        persist_state="session",
        placeholder="Nobody",
        help="Patients used neither for training nor for validation.",
    )
    training = [name for name in names if name not in validation and name not in unused]
    st.caption(f"{_people(training)} for training, {_people(validation)} for validation.")
    if not training or not validation:
        st.warning("At least one patient is needed for training and one for validation.")
        return None
    split = {
        "train": {"case": [case for name in training for case in patients[name]]},
        "validation": {"case": [case for name in validation for case in patients[name]]},
    }
    return RunRequest(
        data=DEMO_DATA if folder is None else str(folder),
        config=config,
        split=split,
        excluded=_choose_exclusions({*split["train"]["case"], *split["validation"]["case"]}),
    )


def _choose_patients() -> tuple[Path | None, dict[str, list[str]]]:
    """The folder of the cases, none for generated ones, and patient → cases."""
    known = {_REAL: cases_folder(), _OWN: own_cases_folder()}
    folders = {name: folder for name, folder in known.items() if folder is not None}
    absent = "" if folders else "There are no cases in this server's data folder. "
    folder = None
    if folders:
        chosen = st.segmented_control(
            "Patients",
            (*folders, _GENERATED),
            default=next(iter(folders)),
            required=True,
            key="train-data",
            persist_state="session",
            help="The cases of the server's data folder, scans corrected here that were made "
            "training cases, or four generated patients to try it out.",
        )
        folder = folders.get(str(chosen))
    patients: dict[str, list[str]] = {}
    if folder is None:
        st.info(
            f"{absent}Four **generated** patients are used. They share one anatomy: a network "
            "trained on them knows generated chests only, and its results prove nothing about "
            "people.",
            icon=":material/science:",
        )
        return None, {case_id: [case_id] for case_id in DEMO_CASES}
    with show_errors():
        for case in load_cases(str(folder)):
            has_truth = case.lung_path is not None and case.infection_path is not None
            if has_truth or case.label_path is not None:
                patients.setdefault(case.patient_id, []).append(case.case_id)
    return folder, patients


def _choose_exclusions(known: set[str]) -> tuple[Exclusion, ...]:
    """What of these cases was marked on the Quality page, unless the person wants it in."""
    marked = tuple(mark for mark in left_out().exclusions if mark.case_id in known)
    if marked and not st.toggle(
        "Leave out what was marked on the Quality page",
        value=True,
        help="Slices and cases marked in this session.",
    ):
        return ()
    return marked


def _name_of(folder: Path | None) -> str:
    """Keys the widgets that name its patients."""
    return "demo" if folder is None else folder.name


def _people(names: list[str]) -> str:
    return f"{len(names)} patient{'' if len(names) == 1 else 's'}"


def choose_network(settings: Settings) -> None:
    """Network, size of its input, and loss."""
    values = settings.values
    settings.choose(
        "Network", "architecture", _ARCHITECTURES, help="U-Net++ connects all depths densely."
    )
    settings.choose(
        "Encoder", "encoder", _ENCODERS,
        help="The contracting half of the network. The pretrained one has learned on ImageNet, a "
            "set of a million photographs; with few cases it is clearly better.",
    )  # fmt: skip
    if values["encoder"] == "plain":
        settings.slide(
            "Depth", "depth", TRAIN_RANGES["depth"], help="How often the resolution is halved."
        )
    settings.slide(
        "Width", "width", TRAIN_RANGES["width"],
        help="Channels at full resolution; each depth has twice as many. Twice the width is "
            "about four times the computation. With the pretrained encoder this is the width of "
            "the expanding half.",
    )  # fmt: skip
    if values["architecture"] == "unetpp":
        settings.switch(
            "Deep supervision",
            "deep_supervision",
            help="Every depth has an output that is trained as well.",
        )
    settings.choose(
        "Input, pixels", "size", _SIZES, help="A larger input shows finer disease and takes longer."
    )
    settings.choose(
        "Contrast of the input",
        "input",
        {"usual": "Usual window", "tuned": "Tuned"},
        help="**Tuned** is what was last chosen on Preprocess: window, contrast and box.",
    )
    if settings.values["input"] == "tuned" and this_session().tuned_preprocess is None:
        st.caption("Nothing was chosen on Preprocess yet: the usual window applies.")
    settings.choose(
        "Loss", "loss", _LOSSES,
        help="**BCE** counts pixels, **Dice** overlaps; **Tversky** weighs missed against "
            "falsely marked pixels, **focal** gives hard cases more weight.",
    )  # fmt: skip
    if values["loss"] in ("tversky", "focal_tversky"):
        settings.slide(
            "Weight of falsely marked pixels", "loss_alpha", TRAIN_RANGES["loss_alpha"],
            help="Missed pixels get the remaining weight; a lower weight finds more, and "
                "marks more falsely.",
        )  # fmt: skip
    if values["loss"] == "focal_tversky":
        settings.slide(
            "Focus", "loss_gamma", TRAIN_RANGES["loss_gamma"],
            help="Above 1, hard cases weigh more.",
        )  # fmt: skip


def choose_schedule(settings: Settings) -> None:
    """Epochs, batches and the way of the learning rate."""
    values = settings.values
    for label, name, help_text in (
        ("Epochs", "epochs", "How often all slices are seen."),
        ("Batch size", "batch_size", "Slices per step; more need more memory."),
    ):
        settings.slide(label, name, TRAIN_RANGES[name], help=help_text)
    key = settings.key("learning_rate")
    set_first_value(key, float(values["learning_rate"]))
    values["learning_rate"] = st.number_input(
        "Learning rate",
        min_value=1e-6,
        max_value=1.0,
        step=1e-4,
        format="%.1e",
        key=key,
        help="The highest rate of the run. Too small trains slowly, too large not at all; the "
        "range test below suggests one.",
    )
    settings.choose(
        "Schedule", "schedule", _SCHEDULES, help="How the learning rate changes after warm-up."
    )
    settings.slide(
        "Warm-up, epochs", "warmup_epochs", TRAIN_RANGES["warmup_epochs"],
        help="The rate rises to its maximum over these.",
    )  # fmt: skip
    if values["schedule"] != "constant":
        settings.slide(
            "Final share", "final_share", TRAIN_RANGES["final_share"],
            help="Of the highest rate, at the end of the run or of each cycle.", format="%.3f",
        )  # fmt: skip
    if values["schedule"] == "cosine_restarts":
        settings.slide("Cycles", "cycles", TRAIN_RANGES["cycles"], help="How often it falls.")
        settings.slide(
            "Growth of cycles", "cycle_growth", TRAIN_RANGES["cycle_growth"],
            help="Each is this many times as long as the one before.",
        )  # fmt: skip


def choose_changes(settings: Settings, config: TrainConfig) -> None:
    """Which random changes training slices go through."""
    settings.choose(
        "Augmentation of training slices", "changes", _CHANGES,
        help="**Tuned** is the pipeline last chosen in the part Augmentation.",
    )  # fmt: skip
    if settings.values["changes"] == "tuned" and this_session().tuned_augmentation is None:
        st.caption("No pipeline has been chosen under Augmentation yet: the usual one applies.")
    active = {name: value for name, value in asdict(config.augment).items() if value}
    st.caption(
        ", ".join(
            name.replace("_", " ") if value is True else f"{name.replace('_', ' ')} {value:g}"
            for name, value in active.items()
        )
        or "No augmentation."
    )
