"""Every scan below a folder, each once, with an id that does not identify the patient."""

from __future__ import annotations

import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from core.batch.dicom_scans import dicom_scans
from core.batch.masks import (
    holds_masks_only,
    is_mask_name,
    is_mask_picture,
    is_own_mask,
)
from core.batch.places import is_batch_result
from core.errors import LoadError, shown_name
from core.loading import (
    CASE_FOLDERS,
    DEFAULT_LIMITS,
    PICTURE_ENDINGS,
    VOLUME_ENDINGS,
    Case,
    is_archive,
    load_case_table,
    may_be_read,
    natural_order,
    nifti_stem,
)
from core.loading.dicom.headers import NoPictureError, is_dicom, read_headers
from core.loading.dicom.series import by_uid, ct_series
from core.loading.dicom.slices import Slice
from core.system import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    never_cancel,
    raise_if_cancelled,
)

ScanKind = Literal["nifti", "dicom", "pictures", "archive", "case"]

_VOLUME_ENDINGS = tuple(ending for ending in VOLUME_ENDINGS if not ending.startswith(".np"))
"""NumPy arrays are left out: they hold all kinds of things."""
_ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
_MASK_FOLDERS = {
    name for column, names in CASE_FOLDERS.items() if "mask" in column for name in names
}
_SCAN_FOLDERS = set(CASE_FOLDERS["ct_scan"])


@dataclass(frozen=True)
class FoundScan:
    """One scan, by the files that hold it.

    Attributes:
        name: safe to show, as the scan is called once it is open; DICOM has none of its own.
        files: relative to the folder searched, with forward slashes.
        series_uid: which series of the files, where they are DICOM.
        lung, infection, labels: true masks that lie beside it in the 20-case layout.
    """

    scan_id: str
    name: str
    kind: ScanKind
    files: tuple[str, ...]
    series_uid: str | None = None
    lung: str | None = None
    infection: str | None = None
    labels: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """All files that the result depends on."""
        masks = (self.lung, self.infection, self.labels)
        return (*self.files, *(mask for mask in masks if mask is not None))

    @property
    def place(self) -> str:
        """The file, or the folder of the files, by which the scan is opened."""
        if len(self.files) == 1:
            return self.files[0]
        return posixpath.commonpath([posixpath.dirname(name) for name in self.files]) or "."

    def to_json_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json_dict(cls, values: dict[str, Any]) -> FoundScan:
        """The inverse of `to_json_dict`."""
        return cls(**{**values, "files": tuple(values["files"])})


@dataclass(frozen=True)
class Found:
    """The scans in a fixed order, and what was left out: reason → how often."""

    scans: tuple[FoundScan, ...]
    left_out: dict[str, int]


def find_scans(
    folder: Path,
    *,
    leave_out: Path | None = None,
    join_series: bool = False,
    follow_links: bool = False,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Found:
    """NIfTI files, DICOM series, zips, folders of pictures and sets in the 20-case layout.

    Masks, results of earlier batches, hidden folders and links that lead out of the folder are
    left out. Two runs over the same files give the same scans, ids and order.

    Args:
        leave_out: the folder that results go to.
        join_series: DICOM slices that each have a series of their own, in one place, are opened
            as one scan; else opening them asks for it.
        follow_links: take what symbolic links lead to, outside of the folder too; each folder
            once. Only where the person who asks has made the links, or trusts who has.

    Raises:
        LoadError: it is no folder, may not be read, or holds no scan.
        Cancelled: the person asked to stop.
    """
    name = shown_name(folder)
    if not folder.is_dir():
        raise LoadError(
            f"{name} is not a folder of scans",
            got="a file" if folder.exists() else "nothing of that name",
            expected="a folder",
            next_step="give the folder that holds the scans",
        )
    search = _Search(
        folder.resolve(),
        leave_out and leave_out.resolve(),
        join_series=join_series,
        follow_links=follow_links,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
    found = search.run()
    if not found.scans:
        left = "; ".join(f"{reason}: {count}" for reason, count in found.left_out.items())
        raise LoadError(
            f"{name} holds no scan",
            got=f"only {left}" if left else "no file that can be opened",
            expected="NIfTI files, DICOM folders, zips, pictures, or ct_scans with masks beside it",
            next_step="give the folder that holds the scans",
        )
    return found


class _Search:
    """One walk through a folder, top down, in the order of names."""

    def __init__(
        self,
        root: Path,
        leave_out: Path | None,
        *,
        join_series: bool,
        follow_links: bool,
        on_progress: OnProgress,
        should_cancel: ShouldCancel,
    ) -> None:
        self._join_series = join_series
        self._root = root
        self._leave_out = leave_out
        self._follow_links = follow_links
        self._seen: set[str] = set()
        """Folders walked through, links resolved: a link may lead back to where it lies."""
        self._on_progress = on_progress
        self._should_cancel = should_cancel
        self._scans: list[FoundScan] = []
        self._left_out: Counter[str] = Counter()
        self._series: dict[str, list[tuple[Path, list[Slice]]]] = defaultdict(list)

    def run(self) -> Found:
        walk = os.walk(self._root, onerror=self._unreadable, followlinks=self._follow_links)
        for number, (parent, subfolders, names) in enumerate(walk):
            raise_if_cancelled(self._should_cancel, "looking for scans")
            self._on_progress(f"looking for scans, folder {number + 1}", 0, 1)
            here = Path(parent)
            if self._was_seen(here):
                subfolders.clear()
                self._left_out["folders that links lead to once more"] += 1
                continue
            if here != self._root and (here == self._leave_out or is_batch_result(here)):
                subfolders.clear()
                if here != self._leave_out:
                    self._left_out["results of an earlier batch"] += 1
                continue
            subfolders[:] = sorted(name for name in subfolders if self._is_own_folder(here, name))
            if any(name.lower() in _SCAN_FOLDERS for name in subfolders):
                self._take_cases(here, subfolders)
            subfolders[:] = [name for name in subfolders if name.lower() not in _MASK_FOLDERS]
            self._look_into(here, [Path(parent, name) for name in sorted(names)])
        self._take_series()
        ordered = sorted(self._scans, key=lambda scan: [_natural(scan.files[0]), scan.scan_id])
        return Found(tuple(ordered), dict(sorted(self._left_out.items())))

    def _was_seen(self, here: Path) -> bool:
        if not self._follow_links:
            return False
        real = os.path.realpath(here)
        if real in self._seen:
            return True
        self._seen.add(real)
        return False

    def _unreadable(self, error: OSError) -> None:
        if Path(error.filename or "") == self._root:
            raise LoadError(
                f"Folder {shown_name(self._root)} cannot be opened",
                got=error.strerror or "a read error",
                expected="a readable folder",
                next_step="check its permissions",
            ) from error
        self._left_out["folders that may not be read"] += 1

    def _is_own_folder(self, here: Path, name: str) -> bool:
        if name.startswith(".") or name == "__MACOSX":
            return False
        if not os.path.islink(here / name):
            return True
        if not self._follow_links:
            self._left_out["links to folders"] += 1
            return False
        # What lies in the folder itself is found without the link.
        return not Path(os.path.realpath(here / name)).is_relative_to(self._root)

    def _may_take(self, path: Path) -> bool:
        """A regular file of the folder itself; a link only to what is not found without it."""
        if path.name.startswith(".") or not may_be_read(path):
            return False
        if not os.path.islink(path):
            return True
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self._root):
            if self._follow_links:
                return True
            self._left_out["links that lead out of the folder"] += 1
            return False
        # As annexes keep them: the content in a hidden folder, a link in its place.
        return any(part.startswith(".") for part in real.relative_to(self._root).parts)

    def _below(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _take(
        self,
        kind: ScanKind,
        place: str,
        files: Iterable[Path],
        *,
        name: str,
        uid: str | None = None,
        key: str = "",
    ) -> FoundScan:
        scan = FoundScan(
            scan_id=blake2b(
                f"{place}\n{key}".encode("utf-8", "surrogateescape"), digest_size=6
            ).hexdigest(),
            name=name,
            kind=kind,
            files=tuple(map(self._below, files)),
            series_uid=uid,
        )
        self._scans.append(scan)
        return scan

    def _look_into(self, here: Path, paths: list[Path]) -> None:
        files = [path for path in paths if self._may_take(path)]
        slices = [path for path in files if is_dicom(path)]
        others = [path for path in files if path not in set(slices)]
        if slices:
            self._look_at_dicom(here, slices)
        volumes = [path for path in others if _ends(path, _VOLUME_ENDINGS)]
        for path in volumes:
            if is_mask_name(path.name) or is_own_mask(path):
                self._left_out["masks"] += 1
            else:
                self._take("nifti", self._below(path), [path], name=nifti_stem(path))
        for path in others:
            if _ends(path, _ARCHIVE_ENDINGS):
                if is_archive(path) and holds_masks_only(path):
                    self._left_out["archives of masks"] += 1
                else:
                    self._take("archive", self._below(path), [path], name=shown_name(path.name))
        if not slices and not volumes:
            self._look_at_pictures(here, others)

    def _look_at_pictures(self, here: Path, files: list[Path]) -> None:
        pictures = [path for path in files if _ends(path, PICTURE_ENDINGS)]
        own = [path for path in pictures if not is_mask_picture(path.name)]
        if len(own) < len(pictures):
            self._left_out["pictures of masks"] += len(pictures) - len(own)
        if own:
            count = len(own)
            name = shown_name(own[0].name) if count == 1 else f"{count} pictures"
            place = f"{self._below(here)}/pictures"
            self._take("pictures", place, sorted(own, key=natural_order), name=name)

    def _look_at_dicom(self, here: Path, files: list[Path]) -> None:
        try:
            headers = read_headers(
                files,
                limits=DEFAULT_LIMITS,
                on_progress=self._on_progress,
                should_cancel=self._should_cancel,
            )
        except NoPictureError:
            self._left_out["DICOM objects without a picture"] += len(files)
            return
        except LoadError:
            # Opened later, it fails with the sentence that says why.
            self._take("dicom", self._below(here), files, name="DICOM series")
            return
        ignored = Counter(headers.ignored)
        try:
            found = ct_series(by_uid(headers.slices).values())
        except LoadError as error:
            self._left_out[f"DICOM folders where {error.what[0].lower()}{error.what[1:]}"] += 1
        else:
            ignored += found.ignored
            for group in found.series:
                self._series[group[0].uid or f"without {here}"].append((here, group))
        for kind, count in ignored.items():
            self._left_out[f"DICOM objects beside a series: {kind}"] += count

    def _take_series(self) -> None:
        for scan in dicom_scans(self._series, join=self._join_series):
            files = sorted({item.path for item in scan.slices}, key=natural_order)
            count = len(scan.slices)
            name = f"DICOM series, {count} slice{'s' if count != 1 else ''}"
            place = self._below(scan.folder)
            self._take("dicom", place, files, name=name, uid=scan.uid, key=scan.key)

    def _take_cases(self, here: Path, subfolders: list[str]) -> None:
        try:
            cases = load_case_table(here)
        except LoadError as error:
            self._left_out[f"sets without their masks, as {error.what}"] += 1
            return  # their scans are taken one by one as the walk goes on
        taken = set()
        for case in cases:
            if not self._is_inside(case.scan_path) or not self._may_take(case.scan_path):
                continue
            taken.add(case.scan_path)
            self._take_case(case)
        rest = [
            path
            for name in subfolders
            if name.lower() in _SCAN_FOLDERS
            for path in sorted((here / name).iterdir())
            if path not in taken and self._may_take(path)
        ]
        self._look_into(here, rest)
        subfolders[:] = [name for name in subfolders if name.lower() not in _SCAN_FOLDERS]

    def _take_case(self, case: Case) -> None:
        def mask(path: Path | None) -> str | None:
            return self._below(path) if path is not None and self._is_inside(path) else None

        place = self._below(case.scan_path)
        scan = self._take("case", place, [case.scan_path], name=shown_name(case.case_id))
        self._scans[-1] = replace(
            scan,
            lung=mask(case.lung_path),
            infection=mask(case.infection_path),
            labels=mask(case.label_path),
        )

    def _is_inside(self, path: Path) -> bool:
        """Whether a path that a table names lies in the folder, links resolved."""
        real = Path(os.path.realpath(path))
        inside = self._follow_links or real.is_relative_to(self._root)
        return inside and path.is_relative_to(self._root)


def _ends(path: Path, endings: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(endings)


def _natural(place: str) -> list[Any]:
    return [natural_order(Path(part)) for part in place.split("/")]
