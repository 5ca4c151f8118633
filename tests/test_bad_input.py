"""Every broken or hostile input is refused with one sentence that helps."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from core.errors import LungLensError
from core.loading import load_mask, open_study
from tests.bad_inputs import BAD_INPUTS, BAD_MASKS, ODD_INPUTS, BadInput, BadMask, OddInput


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


def test_the_table_is_long_enough() -> None:
    names = [bad.name for bad in BAD_INPUTS] + [bad.name for bad in BAD_MASKS]
    assert len(names) == len(set(names))
    assert len(names) >= 50
