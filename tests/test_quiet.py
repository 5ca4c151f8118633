"""Standard error while a network loads: a command stays quiet, and nobody's errors are lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from core.cli import main
from core.loading import open_study, stage_uploads
from core.output.saving import save_volume
from core.segmentation.segmenter import load_segmenter
from tests.scans import zip_bytes
from tests.studies import StandInSegmenter, small_volume

ROOT = Path(__file__).parent.parent
PROGRAM = """
import os, sys, threading
done = threading.Event()
written = 0
def write():
    global written
    while not done.wait(0.01):
        os.write(2, b"error %d of another thread\\n" % written)
        written += 1
other = threading.Thread(target=write)
other.start()
from core.cli import main
code = main(["segment", *sys.argv[1:], "--engine", "keras"])
done.set()
other.join()
assert "tensorflow" in sys.modules
print("written", written)
sys.exit(code)
"""


def test_a_command_shows_no_notes_and_loses_no_error(tmp_path: Path) -> None:
    save_volume(small_volume(), tmp_path / "scan.nii.gz")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "scan.nii.gz"), "-o", str(tmp_path)]
    chosen = ("LUNGLENS_VERBOSE", "TF_CPP_MIN_LOG_LEVEL", "CI")
    environment = {k: v for k, v in os.environ.items() if k not in chosen}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    written = int(done.stdout.split("written ")[-1])
    assert written > 10
    expected = [f"error {n} of another thread" for n in range(written)]
    # What was held back meanwhile may come after what was written since.
    assert sorted(done.stderr.splitlines(), key=lambda line: int(line.split()[1])) == expected


def test_loading_in_a_server_leaves_standard_error_to_all(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    class Slow(StandInSegmenter):
        def warm_up(self, batch_size: int) -> None:
            other = threading.Thread(target=lambda: os.write(2, b"error of another session\n"))
            other.start()
            other.join()
            seen.append(capfd.readouterr().err)

    def load(*_: Any) -> StandInSegmenter:
        return Slow()

    monkeypatch.setattr("core.segmentation.segmenter.load_engine", load)
    monkeypatch.setattr("core.segmentation.segmenter._segmenters", {})
    load_segmenter()
    assert seen == ["error of another session\n"]


LOUD = """
import logging, sys, warnings
from core.cli.quiet import hide_library_warnings
hide_library_warnings()
import nibabel, pydicom
warnings.warn("deprecated")
warnings.warn("out of date", DeprecationWarning)
logging.getLogger("pydicom").warning("an odd value")
nibabel.imageglobals.logger.warning("pixdim[0] should be 1 or -1")
print("error: ours", file=sys.stderr)
"""


def test_libraries_show_no_warnings_unless_asked() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHONWARN")}
    for extra, lines in (({}, 1), ({"LUNGLENS_VERBOSE": "1"}, 4)):
        done = subprocess.run(
            [sys.executable, "-c", LOUD],
            cwd=ROOT,
            env={**environment, **extra},
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(done.stderr.splitlines()) >= lines
        assert (done.stderr == "error: ours\n") is (lines == 1)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_cause_no_error(closed: str, tmp_path: Path) -> None:
    path = save_volume(small_volume(), tmp_path / "scan.nii.gz")
    before = path.read_bytes()
    for command in (f"info {path}", f"info {path} --json", f"info {tmp_path}/nothing.nii"):
        done = subprocess.run(
            f"{sys.executable} -m core {command} {closed}",
            shell=True,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == int("nothing" in command)
        assert "Traceback" not in done.stdout + done.stderr
    assert path.read_bytes() == before


EMOJI = "\U0001f600" * 60
"""240 bytes, as much as an ending leaves of a name."""


def test_a_name_of_emoji_is_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_volume(small_volume(), tmp_path / f"{EMOJI}.nii.gz")
    (tmp_path / "scan.zip").write_bytes(zip_bytes([(path.name, path.read_bytes())]))
    for given in (path, tmp_path / "scan.zip"):
        assert open_study(given).volume.shape == small_volume().shape
    staged = stage_uploads([(path.name, path.read_bytes())] * 2, tmp_path / "uploads")
    assert len({one.name for one in staged}) == 2
    assert open_study(staged[0]).volume.shape == small_volume().shape
    assert main(["info", str(path)]) == 0
    assert len(capsys.readouterr().out.splitlines()[0]) < 100
