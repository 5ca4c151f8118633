"""lungmask beside LungLens: run in its own interpreter, and told where that is not to be had."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from core.benchmark.lungmask import time_lungmask
from core.errors import ConfigError, LungLensError


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got python9"):
        time_lungmask(tmp_path / "python9", tmp_path / "scan.nii.gz", slices=3)


def test_an_interpreter_without_lungmask(tmp_path: Path) -> None:
    with pytest.raises(LungLensError, match="That Python has no lungmask"):
        time_lungmask(Path(sys.executable), tmp_path / "scan.nii.gz", slices=3)


@pytest.mark.skipif(os.name != "posix", reason="the stand-in interpreter is a shell script")
def test_slices_a_second_are_those_of_its_prediction(tmp_path: Path) -> None:
    told = {"version": "0", "slices": 60, "seconds_before": 9.0, "seconds": 40.0}
    python = tmp_path / "python"
    # Its last two arguments are the scan and the number of slices.
    python.write_text(f"#!/bin/sh\n[ \"$4\" = 60 ] && echo '{json.dumps(told)}'\n")
    python.chmod(0o755)
    figures = time_lungmask(python, tmp_path / "scan.nii.gz", slices=60)
    assert figures == {**told, "slices_per_second": 1.5}
