"""How the open scan lies: turning it, and finding it turned again on another day."""

from __future__ import annotations

from core.correction.project import (
    Card,
    delete_scan,
    settle_turn,
    turned_project,
)
from core.errors import LoadError, LungLensError
from core.ui.links import KEPT_LINK
from core.ui.projects import keep_corrections, projects_folder
from core.ui.remembering import recall_result
from core.ui.session import OpenStudy, set_notice, this_session
from core.volume import Study


def make_ready(opened: OpenStudy, *, where: str = "") -> OpenStudy:
    """A scan that was just opened, as a person has turned it before, with what is kept of it:
    corrections, notes, the network's masks.

    Args:
        where: name of the case, or path in the data folder; empty where the scan was uploaded.
    """
    opened.where = where
    kept = _kept_turn(opened)
    if kept is not None:
        try:
            opened = _open_turned(opened, _turned(opened.study, kept.orientation))
            opened.turned_from = kept.turned_from
        except LungLensError as error:
            set_notice("warning", str(error))
    return _with_what_is_kept(opened)


def turn_scan(codes: str | None) -> None:
    """Lays the open scan otherwise, or back as its file says; true masks turn with it, and a
    prediction made before is dropped. What is kept of it remembers how it lies.

    Args:
        codes: where the axes of its file lead; none turns back.
    """
    before = this_session().opened
    if before is None:
        raise LoadError("No scan is open", next_step="open the scan before turning it")
    folder = projects_folder()
    study = _turned(before.study, codes)
    came_from = ""
    if folder is not None:
        came_from = before.turned_from or before.study.volume.digest
    keeper = before.keeper
    held = keeper is not None and keeper.begun and keeper.holds_scan
    opened = _open_turned(before, study)
    opened.turned_from = came_from if codes else ""
    _with_what_is_kept(opened)
    if folder is None or opened.keeper is None:
        return
    try:
        if codes:
            opened.keeper.keep_turn()
        if held and keeper is not None:
            opened.keeper.keep_scan(study)
            opened.link = f"{KEPT_LINK}{opened.keeper.folder.name}"
            delete_scan(keeper.folder)
        settle_turn(folder, came_from, to=opened.keeper.folder if codes else None)
    except LungLensError as error:
        set_notice("warning", f"The scan is turned, but that is not kept. {error}")


def _turned(study: Study, codes: str | None) -> Study:
    from core.loading import reoriented_study, turned_back

    return turned_back(study) if codes is None else reoriented_study(study, codes)


def _open_turned(before: OpenStudy, study: Study) -> OpenStudy:
    opened = this_session().open_study(study, origin=before.origin, link=before.link)
    opened.where = before.where
    return opened


def _with_what_is_kept(opened: OpenStudy) -> OpenStudy:
    keep_corrections(opened, where=opened.where)
    recall_result(opened)
    return opened


def _kept_turn(opened: OpenStudy) -> Card | None:
    """The project of this scan as a person has turned it, where that is how it was left."""
    folder = projects_folder()
    return None if folder is None else turned_project(folder, opened.study.volume)
