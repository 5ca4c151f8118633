"""Fine-tuning: weights that are there already learn from few cases."""

from __future__ import annotations

import streamlit as st

from core.config import TrainConfig
from core.loading import case_of_scan
from core.segmentation import WeightsInfo, find_weights
from core.system import number_text
from core.training import (
    FINE_TUNING,
    RunRequest,
    can_start_from,
    fine_tuning_config,
    met_before,
    read_results,
)
from core.training.runs import RunPaths
from core.ui import segmenting
from core.ui.page import show_errors
from core.ui.segment.results import weights_name
from core.ui.tables import show_number_table
from core.ui.text import escape_markdown
from core.ui.train import options

_PARTS = {"whole": "Whole network", "frozen": "Expanding half only"}


def set_up_fine_tuning() -> RunRequest | None:
    """Which weights learn further, how, and from whom; none where that cannot be started."""
    with show_errors():
        config = _choose_config()
        if config is None:
            return None
        request = options.choose_cases(config)
        if request is not None:
            _tell_met_before(request)
        return request
    return None


def _choose_config() -> TrainConfig | None:
    known = [info for info in segmenting.available_weights() if can_start_from(info)]
    if not known:
        st.caption("No weights are installed that training could start from.")
        return None
    info: WeightsInfo | None = st.selectbox(
        "Start from",
        known,
        format_func=weights_name,
        key="tune-weights",
        help="Their network and preprocessing are kept; the weights themselves stay as they are.",
    )
    if info is None:
        return None
    part = "whole"
    if info.model.encoder != "plain":
        part = (
            st.segmented_control(
                "What learns",
                tuple(_PARTS),
                format_func=lambda name: _PARTS[name],
                default="whole",
                required=True,
                key="tune-part",
                help="With very few cases the encoder may better stay as it is: it is faster, and "
                "forgets less.",
            )
            or "whole"
        )
    left, right = st.columns(2)
    epochs = left.slider(
        "Epochs", 1, 30, FINE_TUNING.epochs, key="tune-epochs", help="How often all are seen."
    )
    rate = right.number_input(
        "Learning rate",
        min_value=1e-6,
        max_value=1e-2,
        value=FINE_TUNING.learning_rate,
        step=1e-5,
        format="%.1e",
        key="tune-rate",
        help="Low, so that what was learned before is not lost.",
    )
    return fine_tuning_config(
        info, epochs=epochs, learning_rate=float(rate), frozen_encoder=part == "frozen"
    )


def _tell_met_before(request: RunRequest) -> None:
    """Where a validation patient was trained on before, the comparison is called optimistic."""
    cases = [] if request.split is None else request.split["validation"]["case"]
    patients = sorted({case_of_scan(case).patient_id for case in cases})
    info = find_weights(request.config.initial_weights)
    met = met_before(patients, info)
    if met:
        st.warning(
            escape_markdown(
                f"{info.weights_id} was trained on {len(met)} of these {len(patients)} validation "
                "patients: before and after are both too optimistic on them."
            ),
            icon=":material/info:",
        )


def show_before_and_after(paths: RunPaths, config: TrainConfig) -> None:
    """Dice of each case kept out, before and after."""
    found = read_results(paths.results)
    before = {row["case"]: row for row in found.get("before", [])}
    best = {row["case"]: row for row in found.get("best", [])}
    if not before or not config.initial_weights:
        return
    st.markdown(
        f"**Before and after**, on the {len(before)} cases kept out",
        help="Dice on the network's grid, without clean-up. Before: the weights that the run "
        "started from. After: the best epoch, which was chosen on these cases.",
    )
    groups = {}
    for channel in ("lung", "infection"):
        name = f"{channel}_dice"
        columns = {"Before": [_text(row.get(name)) for row in before.values()]}
        if best:
            columns["After"] = [_text(best.get(case, {}).get(name)) for case in before]
        groups[f"{channel.capitalize()} Dice"] = columns
    show_number_table(groups, rows=list(before), caption="Dice before and after fine-tuning")
    if not best:
        st.caption("After: once the last epoch has ended.")
    met = met_before(
        [str(row.get("patient")) for row in before.values()], find_weights(config.initial_weights)
    )
    if met:
        st.caption(
            f"{config.initial_weights} was trained on {len(set(met))} of these patients before: "
            "both values are too optimistic on them."
        )


def _text(value: object) -> str:
    return number_text(float(value)) if isinstance(value, (int, float)) else "not defined"
