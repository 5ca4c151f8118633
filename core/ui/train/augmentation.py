"""The widgets of the Augmentation page: a pipeline of random changes, what it makes of slices."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from core.config import (
    AUGMENT_PRESETS,
    AUGMENT_RANGES,
    AugmentConfig,
    Channel,
    PreprocessConfig,
    from_json_dict,
)
from core.drawing import TRUTH_COLOURS, draw_outlines
from core.preprocessing import build_model_input, build_model_mask, plan_spatial
from core.system import OnProgress, ShouldCancel, json_text, raise_if_cancelled
from core.ui.data_folder import case_study, find_case_folder, load_cases
from core.ui.job_result import AT_ONCE_SECONDS, result_of
from core.ui.job_slot import JobSlot
from core.ui.jobs import PREVIEW_QUEUE
from core.ui.page import show_errors
from core.ui.progress_line import opening
from core.ui.scan.slice_stack import show_stack
from core.ui.session import OpenStudy, this_session
from core.ui.settings import Settings
from core.ui.slow_import import wait_for_import
from core.ui.text import escape_markdown
from core.ui.widget_state import set_widget_value
from core.volume import Array, BoolArray, Study

_SLICES = 3
_KEPT = "Kept"
_OPEN_SCAN = "The open scan"
_LABELS = {
    "rotation_degrees": ("Rotation, degrees", "Rotated by up to this, in either direction."),
    "zoom": ("Zoom", "Larger or smaller by up to this share."),
    "shift": ("Shift", "Moved by up to this share of the picture."),
    "elastic": (
        "Elastic deformation",
        "Points move smoothly by up to this share of the smaller side.",
    ),
    "window": ("Window jitter", "Black and white move by up to this share of the window."),
    "clahe": ("CLAHE, clip limit", "Drawn from 0 to this; below 1 it does nothing."),
    "brightness": ("Brightness", "Added or subtracted, as a share of white."),
    "contrast": ("Contrast", "Stretched or compressed around the mean by up to this share."),
    "gamma": ("Gamma", "Exponent between e to the minus this and e to this."),
    "noise": ("Noise", "White noise with up to this deviation, as a share of white."),
    "sharp_share": (
        "Share kept sharp",
        "Slices that are neither moved nor blurred: every resampling blurs, and a network "
        "trained on blurred slices only mistakes the noise of sharp ones for disease.",
    ),
}


@dataclass(frozen=True, eq=False)
class _Slices:
    """Slices of a case on the network's grid.

    Attributes:
        images: (n, rows, columns) uint8.
        masks: (n, rows, columns, c), one channel for each true mask that is known.
        numbers: their places in the scan.
    """

    images: Array
    masks: BoolArray
    numbers: list[int]


@dataclass(frozen=True, eq=False)
class _Previewed:
    """Slices as they are, and as each pipeline changes them: images and masks."""

    slices: _Slices
    changed: list[tuple[Array, BoolArray]]


@dataclass(eq=False)
class _State:
    """What this page keeps for the session.

    Attributes:
        kept: the pipeline kept for comparison.
        slot: cuts slices out of the case and changes them.
        slices: those cut out last, and the name of their case.
    """

    seed: int = 1
    kept: AugmentConfig | None = None
    slot: JobSlot[_Previewed] = field(default_factory=lambda: JobSlot("augment", PREVIEW_QUEUE))
    slices: tuple[str, _Slices] | None = None


def _state() -> _State:
    return this_session().part(_State)


def read_settings() -> Settings:
    """The pipeline of this session, or the usual one."""
    return Settings("augment", asdict(AugmentConfig()), _config)


def _config(values: dict[str, Any]) -> AugmentConfig:
    return from_json_dict(AugmentConfig, values)


def choose_pipeline(settings: Settings) -> AugmentConfig:
    """Presets, a slider for each change, and the pipeline as a file."""
    with st.container(horizontal=True, gap="small"):
        for preset in AUGMENT_PRESETS:
            st.button(
                preset.name,
                key=f"augment-preset-{preset.name}",
                type="primary" if settings.values == asdict(preset.config) else "secondary",
                help=preset.note,
                on_click=settings.set,
                args=(asdict(preset.config),),
            )
    settings.switch("Flip left and right", "flip", help="Half of the slices are mirrored.")
    for name in AUGMENT_RANGES:
        if name == "sharp_share":
            settings.switch("Blur", "blur", help="Some slices are blurred a little.")
        label, help_text = _LABELS[name]
        settings.slide(label, name, AUGMENT_RANGES[name], help=help_text)
    return _config(dict(settings.values))


def show_saving(config: AugmentConfig) -> None:
    """The pipeline as a file for the command line, and for the Train page."""
    with st.container(horizontal=True, gap="small"):
        if st.button(
            "Use for training",
            key="augment-take",
            type="primary",
            icon=":material/model_training:",
            help="The part Train then offers it as **Tuned**.",
        ):
            this_session().tuned_augmentation = config
            st.toast("Saved: choose Tuned under Augmentation in the part Train.")
        st.download_button(
            "Pipeline (JSON)",
            json_text({"augment": asdict(config)}),
            file_name="augmentation.json",
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            help="For `python -m core train --config augmentation.json`.",
        )


def choose_case(current: OpenStudy) -> tuple[str, Study] | None:
    """The open scan, or a case of the data folder; what is open stays open."""
    names = [_OPEN_SCAN]
    folder = find_case_folder()
    if folder is not None:
        with show_errors():
            names += [case.case_id for case in load_cases(str(folder))]
    chosen = _OPEN_SCAN
    if len(names) > 1:
        chosen = st.selectbox("Case", names, key="augment-case", help="Whose slices are changed.")
    if chosen == _OPEN_SCAN:
        return current.token, current.study
    with show_errors(), opening(on_stop=_back_to_open_scan) as progress:
        return chosen, case_study(chosen, on_progress=progress)
    return None


def _back_to_open_scan() -> None:
    set_widget_value("augment-case", _OPEN_SCAN)


def show_slices(current: OpenStudy, name: str, study: Study, config: AugmentConfig) -> None:
    """Slices as they are, as the pipeline changes them, and as another one does.

    Args:
        name, study: of `choose_case`.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        other = _choose_other(config)
        st.button(
            "New sample",
            key="augment-reseed",
            type="primary",
            icon=":material/casino:",
            help="The same pipelines with another seed.",
            on_click=_reseed,
        )
    seed = _state().seed
    pipelines = {"This pipeline": config} if other is None else {"A: this pipeline": config}
    if other is not None:
        pipelines[f"B: {other[0]}"] = other[1]
    found = _previewed(current, name, study, tuple(pipelines.values()))
    if found is None:
        return
    slices = found.slices
    captions = [f"slice {k + 1}" for k in slices.numbers]
    _show_row("Original", slices.images, slices.masks, study, captions=captions)
    for label, (changed, moved) in zip(pipelines, found.changed, strict=True):
        _show_row(label, changed, moved, study)
    _show_closer(name, study, *found.changed[-1])
    if slices.masks.shape[-1]:
        st.caption(
            "Pale blue is the true lung, yellow the true infection; both move with the picture. "
            f"Seed {seed}."
        )
    else:
        st.caption(f"No true masks are known for this scan. Seed {seed}.")


def _show_closer(name: str, study: Study, changed: Array, moved: BoolArray) -> None:
    """The last row's slices in the viewer, to step through and zoom into."""
    with st.expander("Enlarge a slice", icon=":material/zoom_in:"):
        show_stack(
            changed,
            moved,
            channels=_known_channels(study),
            key="augment-closer",
            name=f"{name}, slices as the last row shows them",
            stamp="SYNTHETIC" if study.synthetic else "",
        )


def _known_channels(study: Study) -> tuple[Channel, ...]:
    truth = study.truth
    return tuple(
        channel
        for channel in TRUTH_COLOURS
        if truth is not None and getattr(truth, channel) is not None
    )


def _choose_other(config: AugmentConfig) -> tuple[str, AugmentConfig] | None:
    known = {preset.name: preset.config for preset in AUGMENT_PRESETS}
    kept = _state().kept
    if kept is not None:
        known[_KEPT] = kept

    def keep() -> None:
        _state().kept = config
        set_widget_value("augment-compared", _KEPT)

    chosen = st.selectbox(
        "Compare with",
        ("Nothing", *known),
        key="augment-compared",
        persist_state="session",
        help="Another pipeline on the same slices with the same seed.",
    )
    st.button(
        "Keep for comparison",
        key="augment-keep",
        help="Remembers this pipeline, so that changes to it can be compared with it.",
        on_click=keep,
    )
    return (chosen, known[chosen]) if chosen in known else None


def _reseed() -> None:
    _state().seed += 1


def _previewed(
    current: OpenStudy, name: str, study: Study, pipelines: tuple[AugmentConfig, ...]
) -> _Previewed | None:
    """The slices of a case as several pipelines change them; none while that is done beside the
    page, and where it was stopped."""
    state = _state()
    seed = state.seed
    subject = (name, pipelines, seed)
    state.slot.drop_unless(subject)
    if state.slot.job is None:
        known = state.slices
        cut_out = known[1] if known is not None and known[0] == name else None

        def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> _Previewed:
            on_progress("cutting out slices", 0, 1)
            slices = _slices_of(study) if cut_out is None else cut_out
            on_progress("loading the deep learning library, once a server", 0, 1)
            wait_for_import("core.training.augmentation_preview", should_cancel)
            changed = []
            for number, pipeline in enumerate(pipelines):
                raise_if_cancelled(should_cancel, "changing slices")
                on_progress("changing slices", number, len(pipelines))
                changed.append(_changed(slices, pipeline, seed))
            return _Previewed(slices, changed)

        state.slot.start(work, owner=current, subject=subject).join(AT_ONCE_SECONDS)
    found = result_of(state.slot, stop_help="Stops changing slices. The settings stay.")
    if found is not None:
        state.slices = (name, found.slices)
    return found


def _slices_of(study: Study) -> _Slices:
    """Slices spread over the part with infection where that is known, else over the middle of the
    scan."""
    config = PreprocessConfig()
    truth = study.truth
    known = [] if truth is None else [m for m in (truth.lung, truth.infection) if m is not None]
    slices = study.volume.shape[2]
    shown = np.arange(slices // 4, max(slices // 4 + 1, 3 * slices // 4))
    if truth is not None and truth.infection is not None and truth.infection.any():
        shown = np.flatnonzero(truth.infection.any(axis=(0, 1)))
    picks = np.linspace(0, len(shown) - 1, min(_SLICES, len(shown)) + 2)[1:-1]
    numbers = [int(shown[round(float(pick))]) for pick in picks]
    record = plan_spatial(study.volume, config)
    images = build_model_input(study.volume, record, config, numbers)
    masks = np.zeros((*images.shape, len(known)), dtype=np.bool_)
    for channel, mask in enumerate(known):
        masks[..., channel] = build_model_mask(mask, record, numbers) > 0
    return _Slices(images, masks, numbers)


def _changed(slices: _Slices, config: AugmentConfig, seed: int) -> tuple[Array, BoolArray]:
    from core.training.augmentation_preview import preview_augmentation

    images, masks = slices.images, slices.masks
    # Without a known mask the layers still want one to move.
    known = masks if masks.shape[-1] else np.zeros((*images.shape, 1), dtype=np.bool_)
    changed, moved = preview_augmentation(images, known, config, seed=seed)
    return changed, moved[..., : masks.shape[-1]]


def _show_row(
    label: str, images: Array, masks: BoolArray, study: Study, captions: list[str] | None = None
) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{escape_markdown(label)}**")
        if study.synthetic:
            st.badge("SYNTHETIC", icon=":material/science:", color="orange")
    colours = tuple(TRUTH_COLOURS[channel] for channel in _known_channels(study))
    pictures = [
        draw_outlines(image, marks, colours, enlarge=2)
        for image, marks in zip(images, masks, strict=True)
    ]
    for place, picture, number in zip(
        st.columns(len(pictures)), pictures, range(len(pictures)), strict=True
    ):
        caption = captions[number] if captions else None
        place.image(picture, caption=caption, output_format="PNG", width="stretch")
