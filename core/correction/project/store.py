"""Projects on the disk: one folder for each corrected scan.

- `project.json`: version, name, fingerprint and shape of the scan, where it lies, when it was
  begun.
- `network_lung.nii.gz`, `network_infection.nii.gz`: the network's masks that the correction began
  with, on the scan's canonical grid (L, P, S); none where it began with nothing.
- `steps`: every step (see `core.correction.project.journal`).
- `lock`: locked by whoever works on it.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np

from core.config import CHANNELS
from core.correction.correction import Correction
from core.correction.history import Act
from core.correction.project.journal import Journal, count_acts, read_journal
from core.errors import LungLensError, ProjectError, shown_name
from core.system import json_text, take_lock, write_bytes, write_gzip, write_text
from core.volume import BoolArray, MaskPair, Volume

VERSION = 1
_CARD, _STEPS, _LOCK = "project.json", "steps", "lock"

LOCKED = (
    "This scan is being corrected in another tab or by somebody else, and its masks can only be "
    "looked at here. A minute after its tab was closed, open it here again to go on."
)

OUTDATED = "This scan was corrected elsewhere since it was opened here. Open it again to go on."


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
    """

    name: str
    fingerprint: str
    shape: tuple[int, int, int]
    origin: str
    where: str
    begun: str = ""
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
    """

    folder: Path
    card: Card | None
    trouble: str = ""
    steps: int = 0
    changed: datetime | None = None
    size_bytes: int = 0


@dataclass(eq=False)
class Keeper:
    """Keeps what is done to one correction; a project is begun with the first step.

    Args:
        projects: folder of all projects.
        card: what it says of itself once it is begun; the fingerprint is added then.
        volume: the scan.
        correction: whose acts are kept.
    """

    projects: Path
    card: Card
    volume: Volume
    correction: Correction
    _journal: Journal | None = field(default=None, init=False)
    _lock: IO[bytes] | None = field(default=None, init=False)
    _unsaved: list[Act] = field(default_factory=list, init=False)

    @property
    def folder(self) -> Path:
        """Where the project lies, or is to lie."""
        return folder_of(self.projects, self.volume.digest)

    def refusal(self) -> str:
        """Why no step can be made: somebody else works on the scan, or has done so since it was
        opened here."""
        if self._journal is not None:
            return ""
        try:
            if not self._take_lock():
                return LOCKED
            return OUTDATED if (self.folder / _CARD).exists() else ""
        except OSError:
            return ""  # told once a step cannot be saved

    def keep(self, act: Act) -> str:
        """Keeps a step; says in a sentence if it cannot be kept, and tries again with the next."""
        self._unsaved.append(act)
        try:
            if self._journal is None:
                self._begin()
            assert self._journal is not None
            while self._unsaved:
                self._journal.append(self._unsaved[0])
                self._unsaved.pop(0)
        except (OSError, LungLensError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
            return f"It is not saved: {reason or 'the disk cannot be written'}."
        return ""

    def restore(self) -> int:
        """Brings the correction to where it was; says how many steps there are.

        Raises:
            ProjectError: the project cannot be read.
        """
        if not self._take_lock():
            self.correction.locked = LOCKED
        acts, length = read_journal(self.folder / _STEPS, voxels=int(np.prod(self.volume.shape)))
        self.correction.replay(_network_masks(self.folder, self.volume), acts)
        if not self.correction.locked:
            self._journal = Journal(self.folder / _STEPS, length=length)
        return self.correction.steps

    def begin_anew(self) -> None:
        """The correction begins with other masks: what is kept of it is none of its steps."""
        if self._journal is None:
            return
        self._journal.close()
        self._journal = None
        self._unsaved.clear()
        (self.folder / _CARD).unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of the project."""
        begun = self._journal is not None
        for held in (self._journal, self._lock):
            if held is not None:
                held.close()
        self._journal = self._lock = None
        if not begun and self.folder.is_dir() and not (self.folder / _CARD).exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _take_lock(self) -> bool:
        if self._lock is not None:
            return True
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = (self.folder / _LOCK).open("ab")
        if not take_lock(lock):
            lock.close()
            return False
        self._lock = lock
        return True

    def _begin(self) -> None:
        self._take_lock()
        for channel in CHANNELS:
            network = self.correction.begun_with
            mask = None if network is None else getattr(network, channel)
            path = self.folder / f"network_{channel}.nii.gz"
            if mask is not None:
                write_bytes(path, _nifti(mask, self.volume))
            else:
                path.unlink(missing_ok=True)
        begun = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._journal = Journal(self.folder / _STEPS)
        # Last, for a project without its card is none.
        _write_card(self.folder, replace(self.card, begun=begun, fingerprint=self.volume.digest))


def folder_of(projects: Path, fingerprint: str) -> Path:
    """Where the project of a scan lies, or would lie."""
    return projects / fingerprint[:32]


def has_project(projects: Path, fingerprint: str) -> bool:
    """Whether a scan was corrected before."""
    return (folder_of(projects, fingerprint) / _CARD).is_file()


def any_projects(projects: Path) -> bool:
    """Whether any scan was, so that the fingerprint of one that is opened matters."""
    return projects.is_dir() and any(projects.glob(f"*/{_CARD}"))


def read_card(folder: Path) -> Card:
    """What a project says of itself.

    Raises:
        ProjectError: it is damaged, or was written by a later version.
    """
    try:
        found = json.loads((folder / _CARD).read_text(encoding="utf-8"))
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
    found = [_listed(path.parent) for path in projects.glob(f"*/{_CARD}")]
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
    _write_card(folder, replace(read_card(folder), name=cleaned))


def delete_project(folder: Path) -> None:
    """Deletes a project for good.

    Raises:
        ProjectError: somebody works on it, or it cannot be deleted.
    """
    try:
        with (folder / _LOCK).open("ab") as lock:
            if not take_lock(lock):
                raise ProjectError(
                    "This project is open", next_step="close the scan before deleting it"
                )
            # The card first: without it the rest is no project, whatever happens.
            (folder / _CARD).unlink()
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
    steps = folder / _STEPS
    changed = datetime.fromtimestamp(
        (steps if steps.exists() else folder / _CARD).stat().st_mtime, timezone.utc
    )
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return Listed(folder, card, steps=count_acts(steps), changed=changed, size_bytes=size)


def _checked(found: Mapping[str, Any]) -> Card:
    shape = tuple(int(count) for count in found["shape"])
    if len(shape) != 3:
        raise ValueError("a shape of three axes")
    texts = {name: str(found[name]) for name in ("name", "fingerprint", "origin", "where", "begun")}
    return Card(shape=shape, **texts)  # type: ignore[arg-type]


def _write_card(folder: Path, card: Card) -> None:
    write_text(folder / _CARD, json_text(asdict(card)) + "\n")


def _nifti(mask: BoolArray, volume: Volume) -> bytes:
    image = nib.Nifti1Image(mask.astype(np.uint8), volume.affine)
    image.header["descrip"] = b"LungLens mask of the network"
    packed = io.BytesIO()
    write_gzip(packed, image.to_bytes())
    return packed.getvalue()


def _network_masks(folder: Path, volume: Volume) -> MaskPair | None:
    masks = {channel: _read_mask(folder, channel, volume) for channel in CHANNELS}
    if all(mask is None for mask in masks.values()):
        return None
    return MaskPair(masks["lung"], masks["infection"])


def _read_mask(folder: Path, channel: str, volume: Volume) -> BoolArray | None:
    path = folder / f"network_{channel}.nii.gz"
    if not path.exists():
        return None
    try:
        image: Any = nib.load(path)
        if image.shape != volume.shape:
            raise ValueError("another shape")
        found: BoolArray = np.asfortranarray(np.asanyarray(image.dataobj) > 0)
    except Exception as error:  # nibabel and gzip raise of every kind on damaged files
        raise ProjectError(
            "The network's masks of a project cannot be read", got=f"a damaged {path.name}"
        ) from error
    return found
