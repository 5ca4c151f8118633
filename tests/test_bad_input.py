"""Every broken or hostile input is refused with one sentence that helps."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import LoadError, LungLensError
from core.loading import load_dicom, load_mask, open_study, recognise
from tests.bad_inputs import (
    BAD_INPUTS,
    BAD_MASKS,
    KINDS_OF_ERROR,
    ODD_INPUTS,
    REPRESENTATIVES,
    BadInput,
    BadMask,
    OddInput,
)
from tests.scans import chest_hu, dicom_series, write_dicom


def check_sentence(error: LungLensError, bad: BadInput | BadMask) -> None:
    text = str(error)
    assert bad.message in text
    for part in bad.parts:
        assert part in text
    assert text == text.strip()
    assert text.endswith(".")
    assert len(text) < 400
    assert not set(text) & set("<>\n\r\t\x1b")
    assert "Traceback" not in text
    assert "/tmp" not in text


@pytest.fixture(autouse=True)
def own_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What loading unpacks goes here, where it can be seen to be gone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_bad_input_is_refused_in_one_sentence(
    bad: BadInput, tmp_path: Path, own_temporary: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    path = bad.build(work)
    with pytest.raises(LungLensError) as caught:
        open_study(path)
    check_sentence(caught.value, bad)
    assert type(caught.value) in KINDS_OF_ERROR  # or REPRESENTATIVES lacks one
    assert list(own_temporary.iterdir()) == []
    assert not list(tmp_path.rglob("escaped*"))


@pytest.mark.parametrize("bad", BAD_MASKS, ids=lambda bad: bad.name)
def test_bad_mask_is_refused_in_one_sentence(bad: BadMask, tmp_path: Path) -> None:
    scan, mask = bad.build(tmp_path)
    volume = open_study(scan).volume
    with pytest.raises(LungLensError) as caught:
        load_mask(mask, volume)
    check_sentence(caught.value, bad)
    with pytest.raises(LungLensError, match=r"[Mm]ask"):
        open_study(scan, infection_mask_path=mask)


@pytest.mark.parametrize("odd", ODD_INPUTS, ids=lambda odd: odd.name)
def test_odd_input_opens_with_a_warning(odd: OddInput, tmp_path: Path) -> None:
    volume = open_study(odd.build(tmp_path)).volume
    for words in odd.warning:
        assert any(words in warning for warning in volume.warnings), volume.warnings
    for warning in volume.warnings:
        assert warning.endswith(".")
        assert "\n" not in warning


def test_an_empty_path_is_not_the_current_folder() -> None:
    for empty in ("", "  ", [""], []):
        with pytest.raises(LoadError, match="There is nothing to open"):
            open_study(empty)
    with pytest.raises(LoadError, match="got an empty path"):
        recognise("")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_beside_a_scan_is_passed_over(tmp_path: Path) -> None:
    folder = write_dicom(dicom_series(chest_hu()), tmp_path / "series")
    os.mkfifo(folder / "A_pipe")
    os.mkfifo(folder / "scan.nii.gz")
    np.testing.assert_array_equal(open_study(folder).volume.array, chest_hu())
    np.testing.assert_array_equal(load_dicom(folder).array, chest_hu())
    with pytest.raises(LoadError, match=r"A_pipe is not a file: got a pipe or device"):
        open_study([folder / "A_pipe", folder / "IM0000.dcm"])
    with pytest.raises(LoadError, match="is not a file"):
        load_mask(folder / "A_pipe", open_study(folder).volume)
    with pytest.raises(LoadError, match=r"scan\.nii\.gz is not a file"):
        open_study(folder / "scan.nii.gz")
    alone = tmp_path / "alone"
    alone.mkdir()
    os.mkfifo(alone / "scan.nii.gz")
    with pytest.raises(LoadError, match="Folder alone holds no scan: got 0 files"):
        open_study(alone)


def test_a_slice_that_may_not_be_read_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_dicom(dicom_series(chest_hu()), tmp_path / "series", prefix="SECRET-ID_")
    real_open = Path.open

    def forbidding(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == "SECRET-ID_0003.dcm":
            raise PermissionError(13, "Permission denied")
        return real_open(path, *args, **options)

    monkeypatch.setattr(Path, "open", forbidding)
    with pytest.raises(LoadError) as caught:
        open_study(folder)
    assert str(caught.value) == (
        "A file of the series cannot be opened: got 1 of 8 files without permission to read, "
        "expected every slice; check the permissions of the files."
    )


def test_every_kind_of_error_has_a_representative(tmp_path: Path) -> None:
    kinds = set()
    for number, bad in enumerate(REPRESENTATIVES):
        work = tmp_path / str(number)
        work.mkdir()
        with pytest.raises(LungLensError) as caught:
            open_study(bad.build(work))
        kinds.add(type(caught.value))
    assert kinds == set(KINDS_OF_ERROR)


def test_the_table_is_long_enough() -> None:
    names = [bad.name for bad in BAD_INPUTS] + [bad.name for bad in BAD_MASKS]
    assert len(names) == len(set(names))
    assert len(names) >= 50
