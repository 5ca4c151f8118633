"""Standard error while a network loads: a command stays quiet, and nobody's errors are lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from core.output.saving import save_volume
from core.segmentation.segmenter import load_segmenter
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
    environment = {k: v for k, v in os.environ.items() if k not in ("LUNGLENS_VERBOSE", "CI")}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    written = int(done.stdout.split("written ")[-1])
    assert written > 10
    expected = [f"error {n} of another thread" for n in range(written)]
    assert done.stderr.splitlines() == expected


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
