"""Corrections of the open scan, kept on this machine from one day to the next."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from core.correction.project import Card, Keeper, ProjectState, any_projects, has_project
from core.errors import ProjectError, shown_name
from core.ui.access import listens_to_this_machine_only
from core.ui.session import OpenStudy, set_notice, this_session
from core.ui.viewer import Window

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
    """From now on keeps every stroke, note and mark of a scan that was just opened, and brings
    back those of earlier days.

    Args:
        where: name of the case, or path in the data folder; empty where the scan was uploaded.
    """
    folder = projects_folder()
    if folder is None:
        return current
    volume = current.study.volume
    keeper = Keeper(folder, card_of(current, where=where), volume, current.correction)
    # The fingerprint takes a moment for a large scan, and matters only where there is a project.
    if any_projects(folder) and has_project(folder, volume.digest):
        try:
            bring_back(current, keeper)
        except (ProjectError, OSError) as error:
            keeper.close()
            current.correction.locked = (
                "The corrections of this scan cannot be read; Home lists them with the reason."
            )
            set_notice("warning", str(error))
            return current
        if current.correction.locked:
            set_notice("warning", current.correction.locked)
    current.correction.keeper = current.keeper = keeper
    return current


def bring_back(current: OpenStudy, keeper: Keeper) -> None:
    """Corrections, notes, marks and settings of a project.

    Raises:
        ProjectError: it cannot be read.
    """
    steps = keeper.restore()
    state = keeper.state
    current.kept_state = state
    current.notes, current.annotations = state.notes, state.annotations
    current.annotations_command += 1
    center, width = state.window_center, state.window_width
    if center is not None and width is not None:
        this_session().window = Window(center, width)
    if steps:
        current.brought_back = f"{current.correction.record.steps_text} of earlier corrections"
        set_notice("success", f"Restored {current.brought_back} of this scan.")


def try_again(current: OpenStudy) -> bool:
    """Where the scan was locked by another tab that has gone since: it can be corrected here now,
    with what was done there.

    Returns:
        Whether the lock has just gone, so that the whole page says something else than before.
    """
    keeper = current.keeper
    if keeper is None or not current.correction.locked:
        return False
    try:
        if keeper.try_again():
            state = keeper.state
            current.notes, current.annotations = state.notes, state.annotations
            current.annotations_command += 1
            set_notice("success", "The other tab was closed: this scan can be corrected here now.")
    except (ProjectError, OSError) as error:
        set_notice("warning", str(error))
    return not current.correction.locked


def keep_state(current: OpenStudy) -> str:
    """Keeps how the scan is looked at, notes and marks, where they have changed; says in a
    sentence if they cannot be kept."""
    if current.keeper is None:
        return ""
    if current.correction.locked:
        return current.correction.locked
    return current.keeper.keep_state(state_of(current))


def state_of(current: OpenStudy) -> ProjectState:
    """How the scan is looked at, and what was written on it."""
    place, run = current.place, current.segmentation
    used = None if run is None else run.config.postprocess
    return ProjectState(
        weights_id="" if run is None else run.weights_id,
        lung_threshold=None if used is None else used.lung_threshold,
        infection_threshold=None if used is None else used.infection_threshold,
        plane=None if place is None else place.plane,
        voxel=None if place is None else place.voxel,
        window_center=None if place is None else place.window.center,
        window_width=None if place is None else place.window.width,
        notes=current.notes,
        annotations=current.annotations,
    )


def card_of(current: OpenStudy, *, where: str = "") -> Card:
    """What a project says of the open scan.

    Args:
        where: name of the case, or path in the data folder; empty where the scan was uploaded.
    """
    volume = current.study.volume
    return Card(
        name=shown_name(current.name),
        fingerprint="",
        shape=volume.shape,
        origin=current.origin,
        where=where,
        orientation="" if volume.source.stored_affine is None else volume.file_orientation,
        turned_from=current.turned_from,
    )
