"""The public 20-case set (Zenodo record 3757476), fetched on request only.

An interrupted download resumes: its bytes are kept in a `.part` file
and the server is asked for the rest. Every archive is checked against its SHA-256.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import requests

from core.config import LoadLimits
from core.errors import DownloadError
from core.loading.archive import unpack
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled

BASE_URL = "https://zenodo.org/records/3757476/files/"

_TIMEOUT_S = (10, 60)
_BLOCK_BYTES = 128 * 1024
_ROOM_FACTOR = 2.5
"""Room asked for, as a multiple of what is still to come: archive and content side by side."""
_UNPACK_LIMITS = LoadLimits(max_unpacked_bytes=16 * 1024**3)


@dataclass(frozen=True)
class RemoteArchive:
    """One zip of the set."""

    name: str
    sha256: str

    @property
    def folder_name(self) -> str:
        """Folder that its content goes to."""
        return self.name.removesuffix(".zip")


COVID20_ARCHIVES: tuple[RemoteArchive, ...] = (
    RemoteArchive(
        "COVID-19-CT-Seg_20cases.zip",
        "a5060480eff9315b069b086312dac4872777901fb80d268a5a83edd9f4e7b440",
    ),
    RemoteArchive(
        "Lung_Mask.zip",
        "f060b0d0299939a6d95ddefdbfa281de1a779c4d230a5adbd32414711d6d8187",
    ),
    RemoteArchive(
        "Infection_Mask.zip",
        "87901c73fdd2230260e61d2dbc57bf56026efc28264006b8ea2bf411453c1694",
    ),
    RemoteArchive(
        "Lung_and_Infection_Mask.zip",
        "34f5a573cb8fb53cb15abe81868395d9addf436854826a6fd6e70c2b294f19c3",
    ),
)


def download_covid20(
    folder: Path | str,
    *,
    base_url: str = BASE_URL,
    archives: Sequence[RemoteArchive] = COVID20_ARCHIVES,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Path:
    """Fetches and unpacks the set; what is already there is not fetched again.

    Args:
        folder: made where it is missing; afterwards good for `load_case_table`.
        on_progress: gets bytes while downloading.

    Returns:
        `folder`.

    Raises:
        DownloadError: no network, no such file, no room, or a wrong checksum.
        Cancelled: the person asked to stop; a later call resumes.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for archive in archives:
            if not (folder / archive.folder_name).is_dir():
                path = _fetch(archive, folder, base_url, on_progress, should_cancel)
                _unpack(path, folder / archive.folder_name, on_progress, should_cancel)
                path.unlink()
    except OSError as error:
        raise DownloadError(
            "The data set cannot be kept",
            got=error.strerror or "a write error",
            expected="a folder with free space",
            next_step="choose another folder",
        ) from error
    return folder


def _fetch(
    archive: RemoteArchive,
    folder: Path,
    base_url: str,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> Path:
    # Progress goes to the callback; core never prints.
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = _ResumingDownloader(archive.name, folder, on_progress, should_cancel)
    try:
        found = pooch.retrieve(
            url=f"{base_url.rstrip('/')}/{archive.name}",
            known_hash=f"sha256:{archive.sha256}",
            fname=archive.name,
            path=folder,
            downloader=downloader,
        )
    except requests.HTTPError as error:
        code = error.response.status_code if error.response is not None else "an error"
        raise DownloadError(
            f"The server does not give {archive.name}",
            got=f"status {code}",
            expected="the archive",
            next_step="try later, or download the set by hand and open its folder",
        ) from error
    except requests.RequestException as error:
        raise DownloadError(
            f"{archive.name} cannot be downloaded",
            got="no connection, or an interrupted one",
            expected="a network and a reachable server",
            next_step="try again to resume, or download the set by hand",
        ) from error
    except ValueError as error:  # pooch says so where the hash differs
        raise DownloadError(
            f"{archive.name} is not the file that was published",
            got="another SHA-256",
            expected=f"{archive.sha256[:12]}…",
            next_step="try again, or download the set by hand",
        ) from error
    return Path(found)


class _ResumingDownloader:
    """Fetches a file into `NAME.part`, resuming from what is there; for `pooch.retrieve`."""

    def __init__(
        self, name: str, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel
    ) -> None:
        self._part = folder / f"{name}.part"
        self._stage = f"downloading {name}"
        self._on_progress = on_progress
        self._should_cancel = should_cancel

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        have = self._part.stat().st_size if self._part.exists() else 0
        # A compressed transfer would make byte positions meaningless.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
            if response.status_code == 416 and have:
                # Nothing lies behind what is there: it is whole, or not this file. The hash tells.
                os.replace(self._part, output_file)
                return
            response.raise_for_status()
            if response.status_code != 206 or not _continues_at(response, have):
                have = 0  # the server sends the whole
            self._receive(response, have)
        os.replace(self._part, output_file)

    def _receive(self, response: requests.Response, have: int) -> None:
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else 0
        self._check_room(total - have)
        with self._part.open("ab" if have else "wb") as out:
            for block in response.iter_content(_BLOCK_BYTES):
                raise_if_cancelled(self._should_cancel, self._stage)
                out.write(block)
                have += len(block)
                self._on_progress(self._stage, have, max(total, have))
        if total and have < total:
            raise requests.ConnectionError("the connection closed early")

    def _check_room(self, coming: int) -> None:
        free = shutil.disk_usage(self._part.parent).free
        if coming * _ROOM_FACTOR > free:
            raise DownloadError(
                "The disk has too little free space for the data set",
                got=f"{free / 1024**3:.1f} GiB free",
                expected=f"{coming * _ROOM_FACTOR / 1024**3:.1f} GiB",
                next_step="free some space or choose another folder",
            )


def _continues_at(response: requests.Response, position: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {position}-")


def _unpack(path: Path, target: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Unpacks beside `target` and renames last, so that `target` is whole or absent."""
    unfinished = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        unpack(
            path,
            unfinished,
            limits=_UNPACK_LIMITS,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
        children = list(unfinished.iterdir())
        # Some zips hold their files inside one folder.
        whole = len(children) == 1 and children[0].is_dir()
        (children[0] if whole else unfinished).rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
