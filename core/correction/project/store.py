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

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from core.correction.project.journal import count_acts
from core.correction.project.scan_file import has_scan
from core.correction.project.state import read_state
from core.errors import ProjectError, shown_name
from core.system import json_text, take_lock, write_text
from core.volume import Volume

VERSION = 1
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
        found = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
        version = found["version"]
        if isinstance(version, int) and version > VERSION:
            raise ProjectError(
                "A project was written by a later version of LungLens",
                got=f"version {version}",
                expected=f"at most {VERSION}",
                next_step="open it with that version",
            )
        return _checked(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProjectError(
            f"The project in {shown_name(folder)} cannot be read",
            got="a damaged project.json",
            next_step="delete it, or bring the file back",
        ) from error


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
    steps = folder / STEPS_NAME
    told = [path.stat().st_mtime for path in (steps, folder / CARD_NAME) if path.exists()]
    return Listed(
        folder,
        card,
        steps=count_acts(steps),
        changed=datetime.fromtimestamp(max(told), timezone.utc),
        size_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        with_scan=has_scan(folder),
    )


def _checked(found: Mapping[str, Any]) -> Card:
    shape = tuple(int(count) for count in found["shape"])
    if len(shape) != 3:
        raise ValueError("a shape of three axes")
    texts = {name: str(found[name]) for name in ("name", "fingerprint", "origin", "where", "begun")}
    texts |= {name: str(found.get(name, "")) for name in ("orientation", "turned_from")}
    if not re.fullmatch("[LRAPSI]{3}|", texts["orientation"]):
        raise ValueError("no orientation")
    return Card(shape=shape, **texts)  # type: ignore[arg-type]


def write_card(folder: Path, card: Card) -> None:
    """Writes what a project says of itself.

    Raises:
        SaveError: it cannot be written.
    """
    write_text(folder / CARD_NAME, json_text(asdict(card)) + "\n")
