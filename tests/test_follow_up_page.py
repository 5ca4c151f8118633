"""The Follow-up page without a browser."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.measuring import match_slices
from core.ui.follow_up import changes, scans
from core.ui.scan.lobes import Lungs
from core.ui.session import OpenStudy
from core.volume import MaskPair, Study
from tests.app_session import session_of
from tests.scans import chest_hu, nifti_bytes, small_affine
from tests.studies import small_study, small_truth, use_stand_in
from tests.test_pages import button, finish_run, opened, page, ran_well, texts

PAGES = Path(__file__).resolve().parent.parent / "pages"


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUNGLENS_DATA_FOLDER", raising=False)


def later_study(*, synthetic: bool = False, truth: bool = True) -> Study:
    """The small chest with half of its infection."""
    study = small_study(name="later.nii.gz", case_id="later", synthetic=synthetic)
    pair = small_truth()
    assert pair.infection is not None
    infection = pair.infection.copy(order="F")
    infection[30:] = False
    return Study(
        study.volume,
        MaskPair(pair.lung, infection) if truth else None,
        case_id="later",
        synthetic=synthetic,
    )


def follow_up_page(second: Study | None = None, *, first: Study | None = None) -> AppTest:
    app = page("follow_up", first or small_study())
    if second is not None:
        session_of(app).second = OpenStudy(study=second, origin="upload", link="later")
    return app


def downloads(app: AppTest) -> dict[str, str]:
    return {item.proto.label: item.proto.url for item in app.get("download_button")}


def test_without_a_scan_it_says_what_to_do() -> None:
    app = ran_well(page("follow_up").run())
    assert "No scan is open" in texts(app)


def test_at_first_a_second_scan_is_asked_for() -> None:
    app = ran_well(follow_up_page().run())
    assert "choose the later one of the same patient" in texts(app)
    assert not app.get("download_button")


def test_a_generated_follow_up_can_be_had_without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "core.phantom.build_demo_follow_up", lambda on_progress: later_study(synthetic=True)
    )
    app = ran_well(follow_up_page(first=small_study(synthetic=True)).run())
    ran_well(button(app, "Generate a follow-up").click().run())
    assert session_of(app).second.study.synthetic
    assert "What changed" in texts(app)
    assert opened(app).study.case_id == "small"


def test_the_changes_of_both_and_which_masks_they_come_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_stand_in(monkeypatch)
    app = ran_well(follow_up_page(later_study()).run())
    shown = texts(app)
    assert shown.count("measured on its true masks; the network has not run") == 2
    # 24 of 96 infected pixels lie in the left lung, and they are gone: -25 %.
    assert "\u221225\u2009%" in shown
    assert "Axial slice 5 of the first scan is shown beside slice 5 of 8" in shown
    assert set(downloads(app)) == {"Changes (CSV)", "Changes (JSON)"}


def test_aligning_shows_progress_and_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on = threading.Event()

    def slow(*args: Any, **settings: Any) -> Any:
        may_go_on.wait(30)
        return match_slices(*args, **settings)

    monkeypatch.setattr(scans, "match_slices", slow)
    app = ran_well(follow_up_page(later_study()).run())
    slot = session_of(app).second.memo[scans._ALIGNING].slot
    assert slot.running
    assert "is shown beside" not in texts(app)
    ran_well(button(app, "Stop").click().run())
    may_go_on.set()
    slot.job.join(30)
    assert slot.job.state == "stopped"
    ran_well(app.run())
    assert "is shown beside" not in texts(app)
    ran_well(button(app, "Try again").click().run())
    assert "Axial slice 5 of the first scan is shown beside slice 5 of 8" in texts(app)


def test_measuring_both_shows_progress_and_can_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_go_on, real = threading.Event(), Lungs.biomarkers

    def slow(*args: Any, **settings: Any) -> Any:
        may_go_on.wait(30)
        return real(*args, **settings)

    monkeypatch.setattr(Lungs, "biomarkers", slow)
    app = ran_well(follow_up_page(later_study()).run())
    slot = session_of(app).part(changes._Measuring).slot
    assert slot.running
    assert "What changed" not in texts(app)
    app.button(key="stop-changes").click()
    ran_well(app.run())
    may_go_on.set()
    slot.job.join(30)
    assert slot.job.state == "stopped"
    assert "What changed" not in texts(ran_well(app.run()))
    app.button(key="again-changes").click()
    ran_well(app.run())
    slot.job.join(30)
    assert "What changed" in texts(ran_well(app.run()))
    # Forgotten, as where true masks are added: measured anew without being asked.
    opened(app).memo.clear()
    ran_well(app.run())
    slot.job.join(30)
    assert "What changed" in texts(ran_well(app.run()))


def test_a_note_on_one_scan_says_on_which() -> None:
    def with_notes(*notes: str) -> Any:
        return SimpleNamespace(notes=notes)

    shown = changes._notes(with_notes("Both.", "One of them."), with_notes("Both.", "Another."))
    assert shown == ["Both.", "First scan: One of them.", "Second scan: Another."]


def test_masks_of_two_kinds_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    use_stand_in(monkeypatch)
    app = ran_well(follow_up_page(later_study()).run())
    second = session_of(app).second
    app.button(key=f"follow-up-mark-{second.token}").click().run()
    finish_run(app)
    assert session_of(app).second.segmentation is not None
    assert opened(app).segmentation is None
    shown = texts(app)
    assert "measured on the network's masks" in shown
    assert "mark both for a fair comparison" in shown


def test_an_unmarked_scan_has_to_be_marked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    use_stand_in(monkeypatch)
    app = ran_well(follow_up_page(later_study(truth=False)).run())
    assert "nothing is marked yet" in texts(app)
    assert "Mark lung and infection in both scans" in texts(app)
    assert "What changed" not in texts(app)


def test_generated_and_real_are_not_of_one_patient() -> None:
    app = ran_well(follow_up_page(later_study(synthetic=True)).run())
    assert "they are not of the same patient" in texts(app)


def test_the_second_scan_can_be_uploaded_and_closed() -> None:
    app = follow_up_page()
    ran_well(app.run())
    app.segmented_control(key=f"follow-up-way-{opened(app).token}").set_value("Upload").run()
    content = nifti_bytes(chest_hu(), small_affine())
    app.get("file_uploader")[0].set_value(("later.nii.gz", content, "application/gzip")).run()
    ran_well(app)
    assert session_of(app).second.study.volume.shape == (48, 40, 8)
    assert opened(app).study.case_id == "small"
    ran_well(button(app, "Choose another second scan").click().run())
    assert session_of(app).second is None


def test_a_broken_second_scan_is_one_sentence() -> None:
    app = follow_up_page()
    ran_well(app.run())
    app.segmented_control(key=f"follow-up-way-{opened(app).token}").set_value("Upload").run()
    app.get("file_uploader")[0].set_value(("later.nii.gz", b"no scan", "application/gzip")).run()
    ran_well(app)
    assert len(app.error) == 1
    assert session_of(app).second is None
    assert opened(app).study.case_id == "small"
