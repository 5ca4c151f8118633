"""The schedule before training starts, and the learning-rate range test."""

from __future__ import annotations

import csv
import math

import streamlit as st

from core.config import TrainConfig
from core.errors import DatasetError, LungLensError
from core.system import runs_folder
from core.training import RANGE_TEST_NAME, RunRequest, learning_rates, read_run, start_run, stop_run
from core.ui.chart_view import show_chart
from core.ui.charts.curves import Curve, make_curve_figure
from core.ui.charts.style import SERIES_COLOURS
from core.ui.page import show_error, show_errors
from core.ui.settings import Settings
from core.ui.text import escape_markdown

_REFRESH_SECONDS = 1.5


def show_schedule(config: TrainConfig) -> None:
    """The learning rate over the whole run, as it will be."""
    epochs, rates = learning_rates(
        config.schedule,
        peak=config.learning_rate,
        warmup_epochs=config.warmup_epochs,
        epochs=config.epochs,
    )
    chart = make_curve_figure(
        [Curve("Learning rate", epochs.tolist(), rates.tolist(), SERIES_COLOURS[3])],
        x_label="Epoch",
        y_label="Learning rate",
        revision="schedule",
        height=180,
    )
    show_chart(chart, key="train-schedule-chart")


def show_range_test(settings: Settings, request: RunRequest | None) -> None:
    """A button that tries growing rates in the background, their losses, and a suggested rate."""
    folder = runs_folder() / RANGE_TEST_NAME
    run = read_run(folder)
    if st.button(
        "Find a learning rate",
        key="train-range",
        icon=":material/troubleshoot:",
        disabled=request is None or run.is_alive,
        help="Range test (Smith 2015): the rate grows from batch to batch, a hundred at most; "
        "the loss falls while the rate is useful. The network is discarded.",
    ):
        try:
            assert request is not None
            (folder / "learning_rates.csv").unlink(missing_ok=True)
            with st.spinner("Starting…"):
                start_run(runs_folder(), RANGE_TEST_NAME, request, find_learning_rate=True)
        except LungLensError as error:
            show_error(error)
            return
        st.rerun()
    if run.is_alive:
        st.fragment(_follow, run_every=_REFRESH_SECONDS)()
    elif run.message:
        st.error(escape_markdown(run.message), icon=":material/error:")
    elif (folder / "learning_rates.csv").is_file():
        with show_errors():
            _show_found(settings)


def _follow() -> None:
    folder = runs_folder() / RANGE_TEST_NAME
    run = read_run(folder)
    if not run.is_alive:
        st.rerun()
    stage = run.stage if run.total else "preparing"
    st.progress(run.done / run.total if run.total else 0.0, text=stage.capitalize())
    if st.button("Stop the test", key="train-range-stop", icon=":material/stop_circle:"):
        with show_errors():
            stop_run(folder)


def _show_found(settings: Settings) -> None:
    folder = runs_folder() / RANGE_TEST_NAME
    try:
        with (folder / "learning_rates.csv").open(newline="", encoding="utf-8") as file:
            rows = [
                [float(cell) if cell else math.nan for cell in row.values()]
                for row in csv.DictReader(file)
            ]
        rates, losses, smoothed = zip(*rows, strict=True)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DatasetError(
            "The last range test cannot be read",
            got="a damaged learning_rates.csv",
            next_step="run it again",
        ) from error
    suggested = read_run(folder).figures.get("suggestion")
    suggestion = float(suggested) if isinstance(suggested, (int, float)) else math.nan
    chart = make_curve_figure(
        [
            Curve("Loss", rates, losses, SERIES_COLOURS[0], "dot"),
            Curve("Smoothed", rates, smoothed, SERIES_COLOURS[1]),
        ],
        x_label="Learning rate",
        y_label="Loss",
        revision="range",
        logarithmic_x=True,
        lines={"suggested": suggestion} if math.isfinite(suggestion) else None,
        height=220,
    )
    show_chart(chart, key="train-range-chart")
    if not math.isfinite(suggestion):
        st.caption("The last test suggests no rate: the loss never fell clearly.")
        return
    st.caption(
        f"The last test suggests {suggestion:.1e}, where the smoothed loss falls most steeply. It "
        "holds for the network, loss and batch size that it was made with."
    )
    st.button(
        f"Use {suggestion:.1e}",
        key="train-range-use",
        on_click=settings.set,
        args=({"learning_rate": suggestion},),
    )
