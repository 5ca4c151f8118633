"""Projects on the disk: one folder for each corrected scan.

- `project.json`: version, name, fingerprint and shape of the scan, where it lies, when it was
  begun.
- `network_lung.nii.gz`, `network_infection.nii.gz`: the network's masks that the correction began
  with, on the scan's canonical grid (L, P, S); none where it began with nothing.
- `steps`: every step (see `core.correction.project.journal`).
- `state.json`: how the scan was looked at, notes and marks (see `core.correction.project.state`).
- `scan.nii.gz`, `scan.json` and true masks: the scan itself, where it was asked to be kept (see
  `core.correction.project.scan_file`).
- `lock`: locked by whoever works on it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from core.config import read_json, whole_number
from core.correction.project.journal import count_acts
from core.correction.project.scan_file import has_scan
from core.correction.project.state import check_version, read_state
from core.errors import ProjectError, shown_name
from core.system import json_text, take_lock, write_text
from core.volume import Volume

VERSION = 1
_MOST_SIDE, _MOST_CHARACTERS = 1 << 20, 1000
_FORMS = {
    "fingerprint": "[0-9a-f]{32}",
    "turned_from": "[0-9a-f]{32}|",
    "orientation": "[LRAPSI]{3}|",
    "origin": "demo|case|file|upload",
}
CARD_NAME, STEPS_NAME, LOCK_NAME = "project.json", "steps", "lock"


@dataclass(frozen=True)
class Card:
    """What a project says of itself.

    Attributes:
        name: what it is called; the person can change it.
        fingerprint: of the scan, see `Volume.digest`.
        shape: of the scan.
        origin: "demo", "case", "file" or "upload".
        where: name of the case, or path in the data folder; empty for uploads.
        begun: time in ISO 8601.
        orientation: where the axes of its file lead as a person has set it, such as "LPS"; empty
            where the scan lies as its file says.
        turned_from: fingerprint of the scan as its file says, while it is to be turned whenever
            it is opened.
    """

    name: str
    fingerprint: str
    shape: tuple[int, int, int]
    origin: str
    where: str
    begun: str = ""
    orientation: str = ""
    turned_from: str = ""
    version: int = VERSION


@dataclass(frozen=True)
class Listed:
    """A project in a list.

    Attributes:
        folder: that holds it.
        card: none where it cannot be read; then `trouble` says why in a sentence.
        steps: acts kept of it, undone ones included.
        changed: time of the last one.
        size_bytes: on the disk.
        with_scan: whether the scan itself is kept.
    """

    folder: Path
    card: Card | None
    trouble: str = ""
    steps: int = 0
    changed: datetime | None = None
    size_bytes: int = 0
    with_scan: bool = False


def folder_of(projects: Path, fingerprint: str) -> Path:
    """Where the project of a scan lies, or would lie."""
    return projects / fingerprint[:32]


def has_project(projects: Path, fingerprint: str) -> bool:
    """Whether a scan was corrected before."""
    return (folder_of(projects, fingerprint) / CARD_NAME).is_file()


def any_projects(projects: Path) -> bool:
    """Whether any scan was, so that the fingerprint of one that is opened matters."""
    return projects.is_dir() and any(projects.glob(f"*/{CARD_NAME}"))


def _cards(projects: Path) -> Iterator[tuple[Path, Card]]:
    """All projects that can be read."""
    for path in projects.glob(f"*/{CARD_NAME}"):
        with suppress(ProjectError):
            yield path.parent, read_card(path.parent)


def turned_project(projects: Path, volume: Volume) -> Card | None:
    """Of a scan as its file says: the project in which a person has turned it, if any."""
    found = [card for _, card in _cards(projects) if card.turned_from]
    # The fingerprint takes a moment for a large scan.
    digest = volume.digest if found else ""
    return next((card for card in found if card.turned_from == digest), None)


def settle_turn(projects: Path, fingerprint: str, *, to: Path | None) -> None:
    """From now on a scan is turned as one of its projects has it; projects of other turns stay
    where there is anything in them.

    Args:
        fingerprint: of the scan as its file says.
        to: that project; none leaves the scan as its file says.

    Raises:
        SaveError: it cannot be written.
        ProjectError: a project cannot be deleted.
    """
    for folder, card in _cards(projects):
        if folder == to:
            if card.turned_from != fingerprint:
                write_card(folder, replace(card, turned_from=fingerprint))
        elif card.turned_from == fingerprint:
            if _is_empty(folder, card):
                delete_project(folder)
            else:
                write_card(folder, replace(card, turned_from=""))


def _is_empty(folder: Path, card: Card) -> bool:
    """Whether nothing was drawn or written, and no scan is kept."""
    if has_scan(folder) or count_acts(folder / STEPS_NAME):
        return False
    return not read_state(folder, card.shape).written_on


def read_card(folder: Path) -> Card:
    """What a project says of itself.

    Raises:
        ProjectError: it is damaged, or was written by a later version.
    """
    try:
        return parse_card(folder)
    except (ValueError, KeyError, TypeError) as error:
        raise ProjectError(
            f"The project in {shown_name(folder)} cannot be read",
            got="a damaged project.json",
            next_step="delete the project, or restore the file",
        ) from error


def parse_card(folder: Path) -> Card:
    """The same where it is not known yet whether this is a project.

    Raises:
        ValueError, KeyError, TypeError: it is damaged.
        ProjectError: it was written by a later version.
    """
    found = read_json(folder / CARD_NAME)
    if not isinstance(found, dict):
        raise ValueError("not a project card")
    check_version(found["version"], VERSION)
    return _checked(found)


def list_projects(projects: Path) -> list[Listed]:
    """All projects, the one changed last first; damaged ones with the reason."""
    if not projects.is_dir():
        return []
    found = [_listed(path.parent) for path in projects.glob(f"*/{CARD_NAME}")]
    oldest = datetime.min.replace(tzinfo=timezone.utc)
    return sorted(found, key=lambda one: one.changed or oldest, reverse=True)


def rename_project(folder: Path, name: str) -> None:
    """Gives a project another name.

    Raises:
        ProjectError: it cannot be read, or the name is empty.
        SaveError: it cannot be written.
    """
    cleaned = " ".join(name.split())[:120]
    if not cleaned:
        raise ProjectError("A project needs a name")
    write_card(folder, replace(read_card(folder), name=cleaned))


def delete_project(folder: Path) -> None:
    """Deletes a project for good.

    Raises:
        ProjectError: somebody works on it, or it cannot be deleted.
    """
    try:
        with (folder / LOCK_NAME).open("ab") as lock:
            if not take_lock(lock):
                raise ProjectError(
                    "This project is open", next_step="close the scan before deleting it"
                )
            # The card first: without it the rest is no project, whatever happens.
            (folder / CARD_NAME).unlink()
            shutil.rmtree(folder)
    except OSError as error:
        raise ProjectError(
            "The project cannot be deleted", got=error.strerror or "an error of the disk"
        ) from error


def _listed(folder: Path) -> Listed:
    try:
        card = read_card(folder)
    except ProjectError as error:
        return Listed(folder, None, trouble=str(error))
    try:
        return _measured(folder, card)
    except OSError:  # somebody is deleting it at this moment, or the disk is at fault
        return Listed(folder, None, trouble="The files of a project cannot be read.")


def _measured(folder: Path, card: Card) -> Listed:
    steps = folder / STEPS_NAME
    times = [path.stat().st_mtime for path in (steps, folder / CARD_NAME) if path.exists()]
    return Listed(
        folder,
        card,
        steps=count_acts(steps),
        changed=datetime.fromtimestamp(max(times), timezone.utc),
        size_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        with_scan=has_scan(folder),
    )


def _checked(found: Mapping[str, Any]) -> Card:
    i, j, k = (whole_number(count, least=1, most=_MOST_SIDE) for count in found["shape"])
    texts = {name: found[name] for name in ("name", "fingerprint", "origin", "where", "begun")}
    texts |= {name: found.get(name, "") for name in ("orientation", "turned_from")}
    for name, text in texts.items():
        if not isinstance(text, str) or len(text) > _MOST_CHARACTERS:
            raise ValueError(f"not text, or too long: {name}")
    for name, form in _FORMS.items():
        if not re.fullmatch(form, texts[name]):
            raise ValueError(f"not a valid {name}")
    texts["name"] = "".join(one if one.isprintable() else " " for one in texts["name"])
    return Card(shape=(i, j, k), **texts)


def write_card(folder: Path, card: Card) -> None:
    """Writes what a project says of itself.

    Raises:
        SaveError: it cannot be written.
    """
    write_text(folder / CARD_NAME, json_text(asdict(card)) + "\n")
