"""Runs side by side: the settings that differ, and the results by patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.config import to_json_dict
from core.system import number_text
from core.training import RunPaths, RunStatus, read_results
from core.ui.tables import show_number_table

_SAME = "These runs have the same settings."


def show_differences(runs: Sequence[RunStatus]) -> None:
    """A row for each setting in which the runs are not alike."""
    known = [run for run in runs if run.config is not None]
    if len(known) < 2:
        return
    st.markdown("**Settings that differ**")
    rows = differing([_flat(to_json_dict(run.config)) for run in known])
    if not rows:
        st.caption(_SAME)
        return
    columns = {
        run.name: [values[number] for values in rows.values()] for number, run in enumerate(known)
    }
    show_number_table({"": columns}, rows=list(rows), caption="Settings that differ")


def differing(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Settings that are not the same in all runs: name → the value of each."""
    names = list(dict.fromkeys(name for one in settings for name in one))
    rows = {name: [one.get(name) for one in settings] for name in names}
    return {
        name.replace("_", " "): [_text(value) for value in values]
        for name, values in rows.items()
        if any(value != values[0] for value in values)
    }


def show_by_patient(root: Path, runs: Sequence[RunStatus]) -> None:
    """Infection Dice of each validation patient by the best epoch of each run."""
    found = {run.name: by_patient(read_results(RunPaths(root / run.name).results)) for run in runs}
    found = {name: dice for name, dice in found.items() if dice}
    if not found:
        return
    patients = sorted({patient for dice in found.values() for patient in dice})
    st.markdown(
        "**Infection Dice by validation patient**",
        help="Of the best epoch, on the network's grid, without clean-up; the mean over a "
        "patient's scans. Runs are comparable only on the same patients.",
    )
    columns = {
        name: [number_text(dice[p]) if p in dice else "not validated" for p in patients]
        for name, dice in found.items()
    }
    show_number_table({"": columns}, rows=patients, caption="Infection Dice by patient")


def by_patient(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, float]:
    """Patient → mean infection Dice over the scans in which it is defined."""
    values: dict[str, list[float]] = {}
    for row in results.get("best", ()):
        dice = row.get("infection_dice")
        if isinstance(dice, (int, float)):
            values.setdefault(str(row.get("patient")), []).append(float(dice))
    return {patient: sum(dice) / len(dice) for patient, dice in values.items()}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found.update(_flat(value, f"{before}{name}: "))
        else:
            found[f"{before}{name}"] = value
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value in (None, "") else str(value)
