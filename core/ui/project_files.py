"""The project of the open scan: keeping the scan itself, saving all of it, opening it again."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import IO

from core.correction.project import (
    Keeper,
    pack_project,
    read_card,
    unpack_project,
)
from core.errors import ProjectError
from core.system import OnProgress, ignore_progress
from core.ui.links import KEPT_LINK
from core.ui.open_scan import open_kept
from core.ui.projects import bring_back, card_of, projects_folder, state_of
from core.ui.session import OpenStudy, this_session


def keep_scan(current: OpenStudy, wanted: bool) -> None:
    """Keeps an uploaded scan on this machine, or no longer.

    Raises:
        ProjectError, SaveError: it cannot be kept.
    """
    keeper = current.keeper
    if keeper is None:
        return
    if wanted:
        keeper.keep_scan(current.study)
        keeper.keep_state(state_of(current))
        current.link = f"{KEPT_LINK}{keeper.folder.name}"
    else:
        keeper.drop_scan()
        current.link = f"upload-{secrets.token_hex(3)}"


def project_zip(current: OpenStudy, *, with_scan: bool, identity: bool) -> bytes:
    """The project of the open scan as one file; see `core.correction.project.pack_project`."""
    study = current.study
    with tempfile.TemporaryDirectory(prefix="lunglens-") as made:
        card = card_of(current, where=current.link if current.origin == "case" else "")
        keeper = Keeper(Path(made), card, study.volume, current.correction)
        keeper.write_all(state_of(current))
        keeper.close()
        return pack_project(keeper.folder, scan=study if with_scan else None, identity=identity)


def open_project(file: IO[bytes], *, on_progress: OnProgress = ignore_progress) -> OpenStudy | None:
    """Takes in a project that was saved as one file, and opens its scan; none where that is not
    inside and has to be opened by itself.

    Raises:
        ProjectError: it is no project, cannot be read, or is here already.
    """
    folder = projects_folder()
    if folder is not None:
        place, study = unpack_project(file, folder, on_progress=on_progress)
        return None if study is None else open_kept(place.name, study=study)
    with tempfile.TemporaryDirectory(prefix="lunglens-") as made:
        place, study = unpack_project(file, Path(made), on_progress=on_progress)
        card = read_card(place)
        if study is None:
            raise ProjectError(
                "This project holds no scan, and this server keeps no corrections",
                next_step='save it again "with the scan"',
            )
        link = f"upload-{secrets.token_hex(3)}"
        opened = this_session().open_study(study, origin="upload", link=link)
        bring_back(opened, Keeper(Path(made), card, study.volume, opened.correction))
        return opened
