"""Runs under way and finished: state, curves, sample slices, comparison, stop and resume."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import streamlit as st

from core.config import CHANNELS, DEMO_CASES, TrainConfig
from core.drawing import PREDICTION_COLOURS, TRUTH_COLOURS, draw_outlines
from core.errors import LungLensError
from core.evaluation import compute_overlap
from core.system import number_text, runs_folder
from core.training import (
    RunPaths,
    RunStatus,
    busy_run,
    read_prediction,
    read_request,
    read_run,
    read_slices,
    run_names,
    sampled_epochs,
    score,
    start_run,
    stop_run,
)
from core.ui.access import may_train
from core.ui.chart_view import show_chart
from core.ui.charts.curves import Curve, make_curve_figure
from core.ui.charts.style import SERIES_COLOURS
from core.ui.page import show_error, show_errors
from core.ui.scan.slice_stack import show_stack
from core.ui.tables import show_facts, show_number_table
from core.ui.text import escape_markdown, seconds_text
from core.ui.train.comparing import show_by_patient, show_differences
from core.ui.train.fine_tune import show_before_and_after
from core.ui.train.publish import show_publishing
from core.ui.widget_state import set_widget_value, widget_value

CHOSEN_RUN = "train-run"
_REFRESH_SECONDS = 1.5
_STATES = {
    "running": ("Training", "blue"),
    "stopping": ("Stopping", "orange"),
    "finished": ("Finished", "green"),
    "stopped": ("Stopped", "orange"),
    "failed": ("Failed", "red"),
    "interrupted": ("Interrupted", "orange"),
    "damaged": ("Damaged", "red"),
}
_COMPARED = {
    "infection_dice": "Infection Dice, validation",
    "lung_dice": "Lung Dice, validation",
    "loss": "Loss, training",
    "train_infection_dice": "Infection Dice, training",
    "learning_rate": "Learning rate",
}


def show_runs() -> None:
    """The runs of this server; the chosen one in full."""
    st.subheader("Runs", anchor=False)
    root = runs_folder()
    names = run_names(root)
    if not names:
        st.info(
            "No run yet. Choose **Small and quick** and start one: it takes a few minutes, "
            "and its curves and sample slices appear here while it runs.",
            icon=":material/show_chart:",
        )
        return
    if widget_value(CHOSEN_RUN) not in names:
        busy = busy_run(root)
        set_widget_value(CHOSEN_RUN, busy if busy in names else names[0])
    name = st.selectbox("Run", names, key=CHOSEN_RUN, help="The latest run comes first.")
    folder = root / name
    # Drawn again at intervals only while there is something new to draw.
    alive = read_run(folder).is_alive
    st.fragment(_show_run, run_every=_REFRESH_SECONDS if alive else None)(folder, alive)
    if len(names) > 1:
        _compare(root, names)


def _show_run(folder: Path, was_alive: bool) -> None:
    run = read_run(folder)
    if run.is_alive != was_alive:
        st.rerun()
    _show_state(run)
    if run.message:
        st.error(escape_markdown(run.message), icon=":material/error:")
    _show_actions(folder, run)
    if run.state == "finished" and run.history and run.config is not None and may_train():
        show_publishing(folder, run, run.config)
    if run.config is not None:
        with show_errors():
            show_before_and_after(RunPaths(folder), run.config)
    if run.history:
        _show_best(run)
        _show_curves(run)
        with show_errors():
            _show_samples(folder, run)
    elif run.is_alive:
        st.caption("Curves and sample slices appear after the first epoch.")
    if run.config is not None:
        _show_facts(folder, run, run.config)


def _show_state(run: RunStatus) -> None:
    label, colour = _STATES[run.state]
    if run.state == "running" and _only_publishes(run):
        label = "Publishing"
    epochs = "" if run.config is None else f" of {run.config.epochs}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(label, color=colour)  # type: ignore[arg-type]
        st.caption(
            f"{len(run.history)}{epochs} epochs done · {seconds_text(run.seconds)}",
            help="Time of training and publishing, over all starts of this run.",
        )
    if not run.is_alive:
        return
    if _only_publishes(run):
        share = run.done / run.total if run.total else 0.0
        st.progress(min(1.0, share), text=_publishing_text(run))
    elif run.stage == "training" or run.total == 0:
        total = run.config.epochs if run.config is not None else 1
        st.progress(min(1.0, len(run.history) / total), text=_stage_text(run))
    else:
        st.progress(min(1.0, run.done / run.total), text=_stage_text(run))


def _only_publishes(run: RunStatus) -> bool:
    """Whether training is complete and only publishing is left."""
    return run.publishes and run.config is not None and len(run.history) >= run.config.epochs


def _publishing_text(run: RunStatus) -> str:
    if run.state == "stopping":
        return "Stopping"
    if run.stage in ("training", "starting", "") or not run.total:
        return "Preparing"
    return f"{run.stage.capitalize()}: {run.done} of {run.total}"


def _stage_text(run: RunStatus) -> str:
    if run.state == "stopping":
        return "Stopping after the current batch"
    if run.stage in ("training", "starting", ""):
        return f"Epoch {len(run.history) + 1}" if run.history else "Preparing"
    return f"{run.stage.capitalize()}: {run.done} of {run.total}"


def _show_actions(folder: Path, run: RunStatus) -> None:
    if not may_train():
        return
    if run.is_alive:
        if st.button(
            "Stop",
            key="train-stop",
            icon=":material/stop_circle:",
            disabled=run.state == "stopping",
            help="Stops after the current batch. Finished epochs are kept, and the run can be "
            "resumed later.",
        ):
            with show_errors():
                stop_run(folder)
            st.rerun()
        st.caption("Training continues when this tab is closed, and the run is listed here again.")
    elif run.state in ("stopped", "interrupted", "failed") and st.button(
        "Resume", key="train-resume", icon=":material/play_circle:", type="primary",
        help="From the last finished epoch, with the same data and settings.",
    ):  # fmt: skip
        try:
            with st.spinner("Starting…"):
                start_run(folder.parent, folder.name, read_request(folder))
        except LungLensError as error:
            show_error(error)
            return
        st.rerun()


def _show_best(run: RunStatus) -> None:
    best = max(run.history, key=score)
    last = run.history[-1]
    rows = {
        "Lung Dice": "lung_dice",
        "Infection Dice": "infection_dice",
        "Infection precision": "infection_precision",
        "Infection recall": "infection_recall",
    }
    columns = {
        f"Best, epoch {best['epoch']:.0f}": best,
        f"Last, epoch {last['epoch']:.0f}": last,
    }
    show_number_table(
        {
            "On validation patients": {
                name: [number_text(row.get(key)) for key in rows.values()]
                for name, row in columns.items()
            }
        },
        rows=list(rows),
        caption="Measurements of the best and the last epoch",
    )
    few = 0 if run.config is None else run.config.validation_slices
    st.caption(
        "The best epoch is the one with the highest mean of lung and infection Dice on "
        "validation patients. It was chosen on them, so its results are slightly optimistic."
        + (f" Epochs are validated on at most {few} slices of each case." if few else "")
    )


def _column(run: RunStatus, name: str) -> list[float]:
    return [row.get(name, math.nan) for row in run.history]


def _show_curves(run: RunStatus) -> None:
    epochs = _column(run, "epoch")
    best = max(run.history, key=score)["epoch"]
    dice = [
        Curve(
            f"{channel.capitalize()}, {side}",
            epochs,
            _column(run, prefix + f"{channel}_dice"),
            PREDICTION_COLOURS[channel],
            dash,
        )
        for channel in CHANNELS
        for side, prefix, dash in (("validation", "", "solid"), ("training", "train_", "dot"))
    ]
    loss = [Curve("Loss", epochs, _column(run, "loss"), SERIES_COLOURS[2])]
    rate = [Curve("Learning rate", epochs, _column(run, "learning_rate"), SERIES_COLOURS[3])]
    for key, curves, label, y_range in (
        ("dice", dice, "Dice", (0.0, 1.0)),
        ("loss", loss, "Loss, training", None),
        ("rate", rate, "Learning rate", None),
    ):
        chart = make_curve_figure(
            curves,
            x_label="Epoch",
            y_label=label,
            revision=f"{run.name}-{key}",
            y_range=y_range,
            lines={"best": best},
            height=280 if key == "dice" else 190,
        )
        show_chart(chart, key=f"train-curve-{key}")


def _show_samples(folder: Path, run: RunStatus) -> None:
    epochs = [epoch for epoch in sampled_epochs(folder) if epoch <= len(run.history)]
    samples = read_slices(folder)
    if samples is None or not epochs:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("**Sample slices** of validation patients")
        if all(name.split(",")[0] in DEMO_CASES for name in samples.names):
            st.badge("SYNTHETIC", icon=":material/science:", color="orange")
    epoch = epochs[-1]
    if len(epochs) > 1 and not run.is_alive:
        epoch = st.select_slider(
            "After epoch",
            epochs,
            value=epoch,
            key=f"train-epoch-{run.name}",
            help="Shows how the masks developed.",
        )
    predicted = read_prediction(folder, epoch)
    if predicted.shape != samples.truth.shape:
        return
    colours = (tuple(TRUTH_COLOURS.values()), tuple(PREDICTION_COLOURS.values()))
    pictures, captions = [], []
    for index, name in enumerate(samples.names):
        enlarge = max(1, round(384 / samples.images.shape[2]))
        pictures.append(
            np.concatenate(
                [
                    draw_outlines(samples.images[index], masks[index], lines, enlarge=enlarge)
                    for masks, lines in zip((samples.truth, predicted), colours, strict=True)
                ],
                axis=0,
            )
        )
        found = compute_overlap(samples.truth[index, ..., 1], predicted[index, ..., 1])
        captions.append(f"{name}: infection Dice {number_text(found.dice)}")
    places = st.columns(2)
    for index, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        places[index % 2].image(picture, caption=escape_markdown(caption), output_format="PNG")
    with st.expander("Enlarge a slice", icon=":material/zoom_in:"):
        show_stack(
            samples.images,
            samples.truth,
            channels=CHANNELS,
            key=f"train-closer-{run.name}",
            name="sample slices",
            prediction=predicted,
        )
    st.caption(
        f"Truth above, the network after epoch {epoch} below. Blue is lung, yellow and orange are "
        "infection."
    )


def _show_facts(folder: Path, run: RunStatus, config: TrainConfig) -> None:
    with st.expander("Settings of this run"):
        network = "U-Net" if config.model.architecture == "unet" else "U-Net++"
        if config.model.encoder != "plain":
            network += f" on EfficientNet-{config.model.encoder.capitalize()}"
        size = f"{config.preprocess.rows} × {config.preprocess.columns}"
        show_facts(
            {
                "Network": f"{network}, depth {config.model.depth}, width {config.model.width}",
                "Input": f"{size} pixels",
                "Loss": config.loss.kind.replace("_", " "),
                "Learning rate": f"{config.learning_rate:.1e}, {config.schedule.kind}, "
                f"{config.warmup_epochs} epochs of warm-up",
                "Batches of": str(config.batch_size),
                "Seed": str(config.seed),
            },
            caption="Settings of the run",
        )
        st.caption("The same from the command line, with the folder of runs as this server has it:")
        st.code(command_line(folder), language="sh", wrap_lines=True)
        history = RunPaths(folder).history
        if history.is_file():
            st.download_button(
                "Measurements of all epochs (CSV)",
                history.read_bytes(),
                file_name=f"{run.name}.csv",
                mime="text/csv",
                icon=":material/download:",
                on_click="ignore",
            )


def command_line(folder: Path) -> str:
    """The command that trains the same; people name the data folder themselves."""
    try:
        request = read_request(folder)
    except LungLensError:
        return f"python -m core train --data DATA --out RUNS/{folder.name}"
    data = request.data if request.data == "demo" else "DATA"
    request_file = f"RUNS/{folder.name}/request.json"
    split = f" --split {request_file}" if request.split is not None else ""
    excluded = f" --exclude RUNS/{folder.name}/exclude.json" if request.excluded else ""
    return (
        f"python -m core train --data {data} --out RUNS/{folder.name} --config {request_file}"
        f"{split}{excluded}"
    )


def _compare(root: Path, names: tuple[str, ...]) -> None:
    st.subheader("Compare runs", anchor=False)
    chosen = st.multiselect(
        "Runs", names, default=names[:2], max_selections=len(SERIES_COLOURS), key="train-compared",
        help="Runs are comparable only with the same validation patients.",
    )  # fmt: skip
    column = st.selectbox(
        "Measurement",
        tuple(_COMPARED),
        format_func=lambda name: _COMPARED[name],
        key="train-measurement",
    )
    runs = [run for run in (read_run(root / name) for name in chosen) if run.history]
    if not runs:
        st.caption("None of them has finished an epoch yet.")
        return
    curves = [
        Curve(
            run.name,
            _column(run, "epoch"),
            _column(run, column),
            colour,
            best=max(run.history, key=score)["epoch"],
        )
        for run, colour in zip(runs, SERIES_COLOURS, strict=False)
    ]
    chart = make_curve_figure(
        curves, x_label="Epoch", y_label=_COMPARED[column], revision=f"compare-{column}"
    )
    show_chart(chart, key="train-comparison")
    bests = [max(run.history, key=score) for run in runs]
    show_number_table(
        {
            "Best epoch": {
                "Epoch": [f"{best['epoch']:.0f}" for best in bests],
                "Lung Dice": [number_text(best["lung_dice"]) for best in bests],
                "Infection Dice": [number_text(best["infection_dice"]) for best in bests],
            }
        },
        rows=[run.name for run in runs],
        caption="Best epochs of the compared runs",
    )
    show_differences(runs)
    show_by_patient(root, runs)
