"""Corrections that outlive the server: every step, whatever ends it, and nobody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core.correction import Act, Correction, Redo, Undo
from core.correction.project import (
    LOCKED,
    Card,
    Keeper,
    any_projects,
    delete_project,
    folder_of,
    has_project,
    list_projects,
    read_card,
    rename_project,
)
from core.correction.project.journal import count_acts, read_journal
from core.errors import CorrectionError, ProjectError
from core.volume import MaskPair
from tests.browser import ROOT
from tests.test_correction import SHAPE, box, make, network, paint, random_edit, volume


def opened(projects: Path, masks: MaskPair | None = None) -> tuple[Correction, Keeper]:
    """The scan as it is opened: with what is kept of it, if anything is."""
    scan = volume()
    correction = Correction(scan, masks)
    card = Card("Air", "", SHAPE, origin="demo", where="demo")
    keeper = Keeper(projects, card, scan, correction)
    if has_project(projects, scan.digest):
        keeper.restore()
    correction.keeper = keeper
    return correction, keeper


def worked_on(correction: Correction, *, edits: int = 40) -> None:
    """Edits of every kind, some of them undone and done again."""
    rng = np.random.default_rng(8)
    while correction.revision < edits:
        try:
            make(correction, random_edit(rng), free=True)
            if rng.integers(4) == 0:
                make(correction, Undo())
                if rng.integers(2):
                    make(correction, Redo())
        except CorrectionError:
            continue


def same(one: Correction, other: Correction) -> None:
    first, second = one.masks(), other.masks()
    np.testing.assert_array_equal(first.lung, second.lung)
    np.testing.assert_array_equal(first.infection, second.infection)
    assert (one.undoable, one.redoable) == (other.undoable, other.redoable)


def test_masks_and_steps_come_back_and_are_undone_to_the_networks_mask(tmp_path: Path) -> None:
    before, _ = opened(tmp_path, network())
    worked_on(before)
    before.close()
    after, _ = opened(tmp_path)
    same(before, after)
    assert after.from_network
    while after.redoable:
        make(before, Redo())
        make(after, Redo())
        same(before, after)
    while after.undoable:
        make(after, Undo())
    for channel in ("lung", "infection"):
        np.testing.assert_array_equal(after._masks[channel], getattr(network(), channel))


def test_steps_continue_in_a_later_session(tmp_path: Path) -> None:
    for day in range(3):
        correction, keeper = opened(tmp_path)
        assert correction.steps == day
        make(correction, paint(box((day, day + 1), (0, 1), (0, 1))))
        keeper.close()
    correction, _ = opened(tmp_path)
    np.testing.assert_array_equal(correction.masks().infection, box((0, 3), (0, 1), (0, 1)))
    assert correction.masks().lung is None
    assert not correction.from_network


def test_the_networks_masks_are_kept_where_any_program_finds_them(tmp_path: Path) -> None:
    correction, keeper = opened(tmp_path, network())
    assert not any_projects(tmp_path), "nothing is kept before the first step"
    make(correction, paint(box((4, 6), (1, 3), (6, 8))))
    image = nib.load(keeper.folder / "network_lung.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(image.dataobj) > 0, network().lung)
    np.testing.assert_allclose(image.affine, volume().affine)
    card = json.loads((keeper.folder / "project.json").read_text())
    assert card["version"] == 1
    assert card["fingerprint"] == volume().digest
    assert card["shape"] == list(SHAPE)


def test_a_file_cut_off_anywhere_holds_all_whole_steps(tmp_path: Path) -> None:
    correction, keeper = opened(tmp_path)
    ends, states = [], []
    for number in range(5):
        make(correction, paint(box((number, number + 2), (0, 2), (0, number + 1))))
        ends.append((keeper.folder / "steps").stat().st_size)
        states.append(correction.masks().infection)
    keeper.close()
    whole = (keeper.folder / "steps").read_bytes()
    for length in range(17, len(whole) + 1):
        (keeper.folder / "steps").write_bytes(whole[:length])
        acts, kept = read_journal(keeper.folder / "steps", shape=SHAPE)
        done = sum(end <= length for end in ends)
        assert len(acts) == done
        assert kept == ([17, *ends])[done]
    (keeper.folder / "steps").write_bytes(whole[:-3])
    again, keeper = opened(tmp_path)
    np.testing.assert_array_equal(again.masks().infection, states[3])
    make(again, paint(box((0, 1), (5, 6), (8, 9))))
    keeper.close()
    assert count_acts(keeper.folder / "steps") == 5


def test_a_damaged_step_hides_what_comes_after_it_and_nothing_before(tmp_path: Path) -> None:
    correction, keeper = opened(tmp_path)
    sizes = []
    for number in range(4):
        make(correction, paint(box((number, number + 1), (0, 2), (0, 2))))
        sizes.append((keeper.folder / "steps").stat().st_size)
    keeper.close()
    content = bytearray((keeper.folder / "steps").read_bytes())
    content[sizes[1] + 12] ^= 0xFF
    (keeper.folder / "steps").write_bytes(bytes(content))
    assert len(read_journal(keeper.folder / "steps", shape=SHAPE)[0]) == 2


_DRAWS_UNTIL_KILLED = """
import sys
from pathlib import Path
from tests.test_correction import box, make, paint
from tests.test_kept_corrections import opened
from core.correction import Undo
correction, _ = opened(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    make(correction, paint(box((0, 6), (0, 5), (0, 1 + number % 8)), marked=bool(number % 2)))
    print(correction.revision, correction._marked["infection"], flush=True)
"""


def test_a_server_that_is_killed_loses_no_step_that_was_told_to_be_made(tmp_path: Path) -> None:
    drawing = subprocess.Popen(
        [sys.executable, "-c", _DRAWS_UNTIL_KILLED, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert drawing.stdout is not None
    told = [drawing.stdout.readline() for _ in range(50)][-1]
    drawing.send_signal(signal.SIGKILL)
    rest = drawing.stdout.read().splitlines()
    drawing.wait(20)
    revision, marked = map(int, (rest or [told])[-1].split())
    correction, _ = opened(tmp_path)
    assert correction.locked == "", "the lock of a killed server is gone"
    assert correction.revision in (revision, revision + 1)
    if correction.revision == revision:
        assert correction._marked["infection"] == marked


def test_a_scan_corrected_elsewhere_is_read_only(tmp_path: Path) -> None:
    first, keeper = opened(tmp_path)
    make(first, paint(box((0, 1), (0, 1), (0, 1))))
    second, other = opened(tmp_path)
    assert second.locked == LOCKED
    np.testing.assert_array_equal(second.masks().infection, first.masks().infection)
    with pytest.raises(CorrectionError, match="another tab"):
        make(second, paint(box((1, 2), (0, 1), (0, 1))))
    other.close()
    make(first, paint(box((1, 2), (0, 1), (0, 1))))
    keeper.close()
    third, _ = opened(tmp_path)
    assert third.locked == ""
    assert third.steps == 2


def test_who_opened_before_anybody_drew_is_reported_too(tmp_path: Path) -> None:
    (first, keeper), (second, _) = opened(tmp_path), opened(tmp_path)
    make(first, paint(box((0, 1), (0, 1), (0, 1))))
    with pytest.raises(CorrectionError, match="another tab"):
        make(second, paint(box((1, 2), (0, 1), (0, 1))))
    keeper.close()
    (late, _) = opened(tmp_path)
    assert late.steps == 1


def test_who_draws_once_it_was_corrected_elsewhere_must_open_it_again(tmp_path: Path) -> None:
    (first, keeper), (second, _) = opened(tmp_path), opened(tmp_path)
    make(first, paint(box((0, 1), (0, 1), (0, 1))))
    keeper.close()
    with pytest.raises(CorrectionError, match="corrected elsewhere"):
        make(second, paint(box((1, 2), (0, 1), (0, 1))))


def test_who_may_only_look_goes_on_once_the_other_tab_has_gone(tmp_path: Path) -> None:
    first, keeper = opened(tmp_path, network())
    make(first, paint(box((0, 1), (0, 1), (0, 1)), channel="lung"))
    second, other = opened(tmp_path)
    assert not other.try_again(), "the first is still at work"
    make(first, paint(box((2, 4), (0, 1), (0, 1)), channel="lung"))
    make(first, paint(box((5, 6), (0, 1), (0, 1)), channel="lung"))
    make(first, Undo())
    before = second.revision
    keeper.close()
    assert other.try_again()
    same(first, second)
    assert second.revision > before, "the browser loads the masks again"
    make(second, Redo())
    while second.undoable:
        make(second, Undo())
    np.testing.assert_array_equal(second._masks["lung"], network().lung)
    assert not other.try_again()


def full_disk(file: int) -> None:
    raise OSError(28, "No space left")


def test_what_cannot_be_saved_is_reported_and_saved_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    correction, keeper = opened(tmp_path)
    make(correction, paint(box((0, 1), (0, 1), (0, 1))))
    with monkeypatch.context() as patched:
        patched.setattr(
            "os.fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left"))
        )
        change = make(correction, paint(box((1, 2), (0, 1), (0, 1))))
        assert change.text.endswith("This could not be saved: No space left.")
        assert correction.steps == 2, "the stroke stays"
    change = make(correction, paint(box((2, 3), (0, 1), (0, 1))))
    assert "not saved" not in change.text
    keeper.close()
    again, _ = opened(tmp_path)
    same(correction, again)


def test_another_result_of_the_network_before_any_step_begins_anew(tmp_path: Path) -> None:
    correction, keeper = opened(tmp_path, network())
    make(correction, paint(box((0, 1), (0, 1), (0, 1)), channel="lung"))
    make(correction, Undo())
    other = MaskPair(network().lung, box((2, 5), (2, 5), (2, 5)))
    correction.follow(other)
    assert not has_project(tmp_path, volume().digest)
    make(correction, paint(box((5, 6), (4, 5), (7, 8))))
    keeper.close()
    again, _ = opened(tmp_path)
    same(correction, again)
    make(again, Undo())
    np.testing.assert_array_equal(again._masks["infection"], other.infection)


def test_projects_are_listed_renamed_and_deleted(tmp_path: Path) -> None:
    assert list_projects(tmp_path / "nothing") == []
    correction, keeper = opened(tmp_path)
    make(correction, paint(box((0, 1), (0, 1), (0, 1))))
    make(correction, Undo())
    (listed,) = list_projects(tmp_path)
    assert listed.card == read_card(listed.folder)
    assert (listed.card.name, listed.steps) == ("Air", 2)
    assert listed.size_bytes == sum(path.stat().st_size for path in listed.folder.iterdir())
    with pytest.raises(ProjectError, match="is open"):
        delete_project(listed.folder)
    keeper.close()
    rename_project(listed.folder, "  Mr   Nobody ")
    assert read_card(listed.folder).name == "Mr Nobody"
    with pytest.raises(ProjectError, match="needs a name"):
        rename_project(listed.folder, "   ")
    delete_project(listed.folder)
    assert list(tmp_path.iterdir()) == []


def test_damaged_and_newer_projects_are_reported_and_leave_the_others_alone(tmp_path: Path) -> None:
    correction, keeper = opened(tmp_path)
    make(correction, paint(box((0, 1), (0, 1), (0, 1))))
    keeper.close()
    card = json.loads((keeper.folder / "project.json").read_text())
    for name, text in (
        ("empty", ""),
        ("list", "[1, 2]"),
        ("shapeless", json.dumps({**card, "shape": [1, 2]})),
        ("deep", "[" * 100_000),
        ("endless", json.dumps({**card, "shape": [1e400, 2, 2]})),
        ("newer", json.dumps({**card, "version": 2})),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "project.json").write_text(text)
    found = {one.folder.name: one for one in list_projects(tmp_path)}
    assert found[keeper.folder.name].card is not None
    assert "later version" in found["newer"].trouble
    for name in ("empty", "list", "shapeless", "deep", "endless"):
        assert f"The project in {name} cannot be read" in found[name].trouble
        delete_project(found[name].folder)


def test_damaged_masks_of_the_network_are_one_sentence(tmp_path: Path) -> None:
    correction, keeper = opened(tmp_path, network())
    make(correction, paint(box((4, 6), (1, 3), (6, 8))))
    keeper.close()
    (keeper.folder / "network_lung.nii.gz").write_bytes(b"no gzip")
    with pytest.raises(ProjectError, match="A mask of a project"):
        opened(tmp_path)


def test_a_scan_that_was_only_looked_at_leaves_nothing(tmp_path: Path) -> None:
    correction, keeper = opened(tmp_path)
    with pytest.raises(CorrectionError):
        make(correction, Undo())
    keeper.close()
    assert not folder_of(tmp_path, volume().digest).exists()


def test_steps_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "steps"
    path.write_bytes(b"something else")
    with pytest.raises(ProjectError, match="cannot be read"):
        read_journal(path, shape=SHAPE)
    acts: list[Act] = read_journal(tmp_path / "none", shape=SHAPE)[0]
    assert acts == []
    assert os.listdir(tmp_path) == ["steps"]
