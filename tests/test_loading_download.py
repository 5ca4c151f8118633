"""The download, against a server of our own: whole, resumed, wrong, stopped and absent."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from core.errors import Cancelled, DownloadError
from core.loading import load_case, load_case_table
from core.loading.download import COVID20_ARCHIVES, RemoteArchive, download_covid20
from tests.scans import chest_hu, nifti_bytes, zip_bytes


@dataclass
class Server:
    """What it gives, how it behaves, and what it was asked for."""

    files: dict[str, bytes]
    breaks_after: int | None = None
    knows_ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    state: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.state.asked.append((self.path, wanted))
        content = self.state.files.get(self.path.rsplit("/", 1)[-1])
        if content is None:
            self.send_error(404)
            return
        start = 0
        if wanted and self.state.knows_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])  # type: ignore[index]
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        rest = content[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.state.breaks_after is not None:
            self.wfile.write(rest[: self.state.breaks_after])
            self.close_connection = True
            return
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def archive_files() -> dict[str, bytes]:
    """The four zips, small; two of them with a folder inside."""
    lung = (chest_hu() < -700).astype(np.uint8)
    infection = np.zeros_like(lung)
    infection[10:14, 18:22] = 1
    name = "coronacases_001.nii"
    return {
        "COVID-19-CT-Seg_20cases.zip": zip_bytes([(name, nifti_bytes(chest_hu()))]),
        "Lung_Mask.zip": zip_bytes([(f"Lung_Mask/{name}", nifti_bytes(lung))]),
        "Infection_Mask.zip": zip_bytes([(f"masks/{name}", nifti_bytes(infection))]),
        "Lung_and_Infection_Mask.zip": zip_bytes([(name, nifti_bytes(lung + 2 * infection))]),
    }


def archives_of(files: dict[str, bytes]) -> list[RemoteArchive]:
    return [RemoteArchive(name, hashlib.sha256(c).hexdigest()) for name, c in files.items()]


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server(archive_files())
    handler = type("Handler", (_Handler,), {"state": state})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_address[1]}/files/"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def test_the_whole_set(server: Server, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    folder = download_covid20(
        tmp_path / "set",
        base_url=server.url,
        archives=archives_of(server.files),
        on_progress=lambda *step: steps.append(step),
    )
    (case,) = load_case_table(folder)
    study = load_case(case)
    np.testing.assert_array_equal(study.volume.array, chest_hu())
    assert study.truth is not None
    assert study.truth.infection is not None
    assert study.truth.infection.sum() == 4 * 4 * 8
    size = len(server.files["Lung_Mask.zip"])
    assert ("downloading Lung_Mask.zip", size, size) in steps
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        name.removesuffix(".zip") for name in server.files
    )

    asked = len(server.asked)
    download_covid20(folder, base_url=server.url, archives=archives_of(server.files))
    assert len(server.asked) == asked


def test_an_interrupted_download_resumes(server: Server, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(1_000_000)
    name = "COVID-19-CT-Seg_20cases.zip"
    server.files[name] = zip_bytes([("coronacases_001.nii", noise)])
    archives = archives_of(server.files)[:1]
    server.breaks_after = 700_000
    with pytest.raises(DownloadError, match="try again to resume"):
        download_covid20(tmp_path, base_url=server.url, archives=archives)
    part = tmp_path / f"{archives[0].name}.part"
    have = part.stat().st_size
    assert 500_000 < have <= 700_000
    server.breaks_after = None
    download_covid20(tmp_path, base_url=server.url, archives=archives)
    assert server.asked[-1][1] == f"bytes={have}-"
    assert (tmp_path / archives[0].folder_name / "coronacases_001.nii").read_bytes() == noise
    assert not part.exists()


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    archives = archives_of(server.files)[:1]
    (tmp_path / f"{archives[0].name}.part").write_bytes(b"an older start")
    server.knows_ranges = False
    download_covid20(tmp_path, base_url=server.url, archives=archives)
    assert (tmp_path / archives[0].folder_name).is_dir()


def test_a_part_that_is_already_whole(server: Server, tmp_path: Path) -> None:
    archives = archives_of(server.files)[:1]
    (tmp_path / f"{archives[0].name}.part").write_bytes(server.files[archives[0].name])
    download_covid20(tmp_path, base_url=server.url, archives=archives)
    assert (tmp_path / archives[0].folder_name).is_dir()


def test_a_wrong_checksum_is_refused_and_forgotten(server: Server, tmp_path: Path) -> None:
    wrong = [RemoteArchive("Lung_Mask.zip", "0" * 64)]
    with pytest.raises(DownloadError, match=r"not the file that was published.*000000000000"):
        download_covid20(tmp_path, base_url=server.url, archives=wrong)
    assert list(tmp_path.iterdir()) == []


def test_stopping_keeps_what_is_there(server: Server, tmp_path: Path) -> None:
    archives = archives_of(server.files)[:1]
    with pytest.raises(Cancelled):
        download_covid20(
            tmp_path, base_url=server.url, archives=archives, should_cancel=lambda: True
        )
    download_covid20(tmp_path, base_url=server.url, archives=archives)
    assert (tmp_path / archives[0].folder_name).is_dir()


def test_a_missing_file_is_reported(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"does not give Gone\.zip: got status 404"):
        download_covid20(
            tmp_path, base_url=server.url, archives=[RemoteArchive("Gone.zip", "0" * 64)]
        )


def test_no_server_is_reported(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match="cannot be downloaded: got no connection"):
        download_covid20(tmp_path, base_url=f"http://127.0.0.1:{port}/")


def test_a_full_disk_is_reported(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("core.loading.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match="too little free space"):
        download_covid20(tmp_path, base_url=server.url, archives=archives_of(server.files))


def test_the_published_checksums_are_complete() -> None:
    assert len(COVID20_ARCHIVES) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", archive.sha256) for archive in COVID20_ARCHIVES)
