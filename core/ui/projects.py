"""Corrections of the open scan, kept on this machine from one day to the next."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from core.correction.project import Card, Keeper, any_projects, has_project
from core.errors import ProjectError, shown_name
from core.ui.access import listens_to_this_machine_only
from core.ui.session import OpenStudy, set_notice

PROJECTS_FOLDER_VARIABLE = "LUNGLENS_PROJECTS_FOLDER"
_OFF = ("off", "no", "none", "0", "false")


def projects_folder() -> Path | None:
    """Where corrections are kept: the operator's folder, else one of the user's own where only
    this machine can reach the app; none where nothing is kept."""
    named = os.environ.get(PROJECTS_FOLDER_VARIABLE, "").strip()
    if named.lower() in _OFF:
        return None
    if named:
        return Path(named).expanduser().resolve()
    if not listens_to_this_machine_only():
        return None
    return platformdirs.user_data_path("lunglens", appauthor=False) / "projects"


def keep_corrections(current: OpenStudy, *, where: str = "") -> OpenStudy:
    """From now on keeps every stroke of a scan that was just opened, and brings back those of
    earlier days.

    Args:
        where: name of the case, or path in the data folder; empty where the scan was uploaded.
    """
    folder = projects_folder()
    if folder is None:
        return current
    volume = current.study.volume
    card = Card(
        name=shown_name(current.name),
        fingerprint="",
        shape=volume.shape,
        origin=current.origin,
        where=where,
    )
    keeper = Keeper(folder, card, volume, current.correction)
    # The fingerprint takes a moment for a large scan, and matters only where there is a project.
    if any_projects(folder) and has_project(folder, volume.digest):
        try:
            steps = keeper.restore()
        except (ProjectError, OSError) as error:
            current.correction.locked = (
                "The corrections of this scan cannot be read; Home lists them and says why."
            )
            set_notice("warning", str(error))
            return current
        if steps:
            current.brought_back = f"{current.correction.record.steps_text} of earlier corrections"
            set_notice("success", f"Brought back {current.brought_back} of this scan.")
        if current.correction.locked:
            set_notice("warning", current.correction.locked)
    current.correction.keeper = keeper
    return current
