"""Keeps the corrections of one open scan on the disk, with its notes, marks and settings."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from core.config import CHANNELS
from core.correction.correction import Correction
from core.correction.history import Act
from core.correction.project.journal import Journal, read_journal
from core.correction.project.mask_file import mask_bytes, read_mask
from core.correction.project.scan_file import delete_scan, has_scan, write_scan
from core.correction.project.state import ProjectState, read_state, write_state
from core.correction.project.store import (
    CARD_NAME,
    LOCK_NAME,
    STEPS_NAME,
    Card,
    folder_of,
    write_card,
)
from core.errors import LungLensError, ProjectError
from core.system import take_lock, write_bytes
from core.volume import BoolArray, MaskPair, Study, Volume

LOCKED = (
    "This scan is being corrected in another tab or by somebody else, so its masks are read-only "
    "here. About a minute after that tab is closed, they can be corrected here."
)
OUTDATED = "This scan has been corrected elsewhere since you opened it. Open it again to continue."


@dataclass(eq=False)
class Keeper:
    """Keeps what is done to one scan; a project is begun with the first step, note or mark.

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
    _is_ours: bool = field(default=False, init=False)
    _state: ProjectState = field(default_factory=ProjectState, init=False)

    @property
    def folder(self) -> Path:
        """Where the project lies, or is to lie."""
        return folder_of(self.projects, self.volume.digest)

    @property
    def begun(self) -> bool:
        """Whether there is a project that this session may write to."""
        return self._is_ours

    @property
    def holds_scan(self) -> bool:
        """Whether the scan itself is kept."""
        return has_scan(self.folder)

    def refusal(self) -> str:
        """Why nothing can be kept: somebody else works on the scan, or has done so since it was
        opened here."""
        if self._is_ours:
            return ""
        try:
            if not self._take_lock():
                return LOCKED
            return OUTDATED if (self.folder / CARD_NAME).exists() else ""
        except OSError:
            return ""  # reported once a step cannot be saved

    def keep(self, act: Act) -> str:
        """Keeps a step; says in a sentence if it cannot be kept, and tries again with the next."""
        self._unsaved.append(act)
        try:
            if self._journal is None:
                self._begin_journal()
            assert self._journal is not None
            while self._unsaved:
                self._journal.append(self._unsaved[0])
                self._unsaved.pop(0)
            self._shorten()
        except (OSError, LungLensError) as error:
            return _not_saved(error)
        return ""

    def keep_state(self, state: ProjectState) -> str:
        """Keeps settings, notes and marks where they have changed; says in a sentence if they
        cannot be kept. Nothing is kept of a scan that nobody has drawn or written on."""
        if not self._is_ours and not state.written_on:
            return ""
        refused = self.refusal()
        if refused or state == self._state:
            return refused
        try:
            self._begin()
            write_state(self.folder, state)
        except (OSError, LungLensError) as error:
            return _not_saved(error)
        self._state = state
        return ""

    def keep_turn(self) -> None:
        """Keeps that the scan lies otherwise than its file says, as its card does.

        Raises:
            ProjectError: somebody else works on it.
            SaveError: it cannot be written.
        """
        self._begin_or_refuse()

    def keep_scan(self, study: Study) -> None:
        """Keeps the scan itself, with its true masks.

        Raises:
            ProjectError: somebody else works on it.
            SaveError: it cannot be written.
        """
        self._begin_or_refuse()
        write_scan(self.folder, study, identity=True)

    def _begin_or_refuse(self) -> None:
        if refused := self.refusal():
            raise ProjectError(refused.rstrip("."))
        self._begin()

    def drop_scan(self) -> None:
        """Keeps the scan no longer; all else stays."""
        if not self.refusal():
            delete_scan(self.folder)

    def write_all(self, state: ProjectState) -> None:
        """Writes the project as the correction is now, with the fewest acts that lead there.

        Raises:
            OSError, SaveError: it cannot be written.
        """
        acts = self.correction.acts()
        self._begin_journal()
        assert self._journal is not None
        self._journal.begin_with(acts)
        write_state(self.folder, state)

    def restore(self) -> int:
        """Brings the correction to where it was; says how many steps there are.

        Raises:
            ProjectError: the project cannot be read.
        """
        if not self._take_lock():
            self.correction.locked = LOCKED
        path = self.folder / STEPS_NAME
        acts, length = read_journal(path, shape=self.volume.shape)
        self._state = read_state(self.folder, self.volume.shape)
        if acts:
            self.correction.replay(_network_masks(self.folder, self.volume), acts)
        if not self.correction.locked:
            self._is_ours = True
            if acts:
                self._journal = Journal(path, length=length)
                self._shorten()
        return self.correction.steps

    def try_again(self) -> bool:
        """Where somebody else was at work on the scan: whether they have gone, and their
        corrections are here now.

        Raises:
            ProjectError: the project cannot be read.
        """
        if self._is_ours or self.correction.locked != LOCKED or not self._take_lock():
            return False
        self.correction.locked = ""
        if (self.folder / CARD_NAME).exists():
            self.restore()
        return True

    @property
    def state(self) -> ProjectState:
        """Settings, notes and marks as they were last kept."""
        return self._state

    def begin_anew(self) -> None:
        """The correction begins with other masks: what is kept of it is none of its steps. Notes,
        marks and the scan stay."""
        if self._journal is None:
            return
        self._journal.close()
        self._journal = None
        self._unsaved.clear()
        if self._state.written_on or self.holds_scan or self.card.orientation:
            (self.folder / STEPS_NAME).unlink(missing_ok=True)
        else:
            (self.folder / CARD_NAME).unlink(missing_ok=True)
            self._is_ours = False

    def close(self) -> None:
        """Lets go of the project."""
        begun = self._is_ours
        for held in (self._journal, self._lock):
            if held is not None:
                held.close()
        self._journal = self._lock = None
        self._is_ours = False
        if not begun and self.folder.is_dir() and not (self.folder / CARD_NAME).exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _take_lock(self) -> bool:
        if self._lock is not None:
            return True
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = (self.folder / LOCK_NAME).open("ab")
        if not take_lock(lock):
            lock.close()
            return False
        self._lock = lock
        return True

    def _begin_journal(self) -> None:
        self._take_lock()
        for channel in CHANNELS:
            network = self.correction.begun_with
            mask = None if network is None else getattr(network, channel)
            path = self.folder / f"network_{channel}.nii.gz"
            if mask is not None:
                write_bytes(path, mask_bytes(mask, self.volume, "mask of the network"))
            else:
                path.unlink(missing_ok=True)
        self._journal = Journal(self.folder / STEPS_NAME)
        self._begin()

    def _begin(self) -> None:
        if self._is_ours:
            return
        self._take_lock()
        begun = datetime.now(timezone.utc).isoformat(timespec="seconds")
        # Last, for a project without its card is none.
        write_card(self.folder, replace(self.card, begun=begun, fingerprint=self.volume.digest))
        self._is_ours = True

    def _shorten(self) -> None:
        """Writes a journal anew that has become long, where that makes it much shorter."""
        assert self._journal is not None
        if self._journal.length <= self.correction.config.journal_bytes:
            return
        acts = self.correction.acts()
        needed = sum(_size(act) for act in acts)
        if 2 * needed < self._journal.length:
            self._journal.begin_with(acts)


def _size(act: Act) -> int:
    flips: Mapping[str, object] = getattr(act, "flips", {})
    return 100 + sum(getattr(runs, "nbytes", 0) for runs in flips.values())


def _not_saved(error: OSError | LungLensError) -> str:
    reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
    return f"This could not be saved: {reason or 'the disk cannot be written'}."


def _network_masks(folder: Path, volume: Volume) -> MaskPair | None:
    masks: dict[str, BoolArray | None] = {
        channel: read_mask(folder / f"network_{channel}.nii.gz", volume.shape)
        for channel in CHANNELS
    }
    if all(mask is None for mask in masks.values()):
        return None
    return MaskPair(masks["lung"], masks["infection"])
