"""Kept corrections in the app: brought back when a scan is opened, listed on Home."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.runtime.scriptrunner import RerunData, RerunException

from core.correction import Undo
from core.correction.project import delete_project, list_projects
from core.errors import ProjectError
from core.segmentation import apply_thresholds
from core.system import OnProgress
from core.ui import segmenting
from core.ui.open_scan import open_demo, open_file, open_link
from core.ui.project_files import keep_scan, open_project, project_zip
from core.ui.projects import keep_state, projects_folder
from core.ui.remembering import remember_result, result_store
from core.ui.session import OpenStudy, Session
from core.ui.turning import turn_scan
from core.ui.viewer import Place, Window
from core.volume import Study
from tests.studies import small_study, use_stand_in
from tests.test_correct_page import draw
from tests.test_pages import button, opened, page, ran_well, session_of, texts
from tests.test_report import segmented


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "projects"
    monkeypatch.setenv("LUNGLENS_PROJECTS_FOLDER", str(folder))
    monkeypatch.setattr("core.ui.open_scan._demo_study", lambda on_progress: DEMO)
    return folder


DEMO: Study = small_study(truth=False, synthetic=True)


def in_session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """A new session, as another day begins."""
    session = Session()
    monkeypatch.setattr("core.ui.open_scan.this_session", lambda: session)
    monkeypatch.setattr("core.ui.session.this_session", lambda: session)
    monkeypatch.setattr("core.ui.projects.this_session", lambda: session)
    monkeypatch.setattr("core.ui.project_files.this_session", lambda: session)
    monkeypatch.setattr("core.ui.turning.this_session", lambda: session)
    return session


def test_a_stroke_is_there_again_in_another_session(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = in_session(monkeypatch)
    current = open_demo()
    assert list_projects(projects) == []
    draw(current)
    drawn = current.corrected.infection
    first.end()
    second = in_session(monkeypatch)
    again = open_demo()
    np.testing.assert_array_equal(again.corrected.infection, drawn)
    assert again.brought_back == "1 step of earlier corrections"
    assert second.notice.text == "Restored 1 step of earlier corrections of this scan."


def test_a_second_session_is_read_only_while_the_first_is_open(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_session(monkeypatch)
    draw(open_demo())
    other = in_session(monkeypatch)
    second = open_demo()
    assert "in another tab" in second.correction.locked
    assert other.notice.text == second.correction.locked
    assert second.corrected.infection.any()


def test_opening_another_scan_lets_go_of_the_first(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_session(monkeypatch)
    draw(open_demo())
    again = open_demo()
    assert again.correction.locked == ""
    assert again.correction.steps == 1


def test_home_lists_opens_renames_and_deletes(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = in_session(monkeypatch)
    draw(open_demo())
    session.end()
    monkeypatch.undo()
    monkeypatch.setenv("LUNGLENS_PROJECTS_FOLDER", str(projects))
    monkeypatch.setattr("core.ui.open_scan._demo_study", lambda on_progress: DEMO)
    app = ran_well(page("home").run())
    assert "Corrected scans" in "\n".join(item.value for item in app.subheader)
    assert "demo study, 1 step, changed " in texts(app)
    name = next(field for field in app.text_input if field.label == "Name")
    name.set_value("Patient of Monday")
    ran_well(button(app, "Save the name").click().run())
    assert "**Patient of Monday**" in texts(app)
    ran_well(button(app, "Open").click().run())
    assert opened(app).correction.steps == 1
    ran_well(button(app, "Delete permanently").click().run())
    assert "This project is open" in texts(app)
    session_of(app).end()
    ran_well(button(app, "Delete permanently").click().run())
    assert "The corrections were deleted" in texts(app)
    assert list_projects(projects) == []


def test_a_file_of_the_data_folder_is_found_again_by_its_place(
    projects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.output.saving import save_volume

    data = tmp_path / "data"
    (data / "inside").mkdir(parents=True)
    save_volume(small_study().volume, data / "inside" / "scan.nii.gz")
    monkeypatch.setenv("LUNGLENS_DATA_FOLDER", str(data))
    in_session(monkeypatch)
    draw(open_file("inside/scan.nii.gz"))
    (listed,) = list_projects(projects)
    assert (listed.card.origin, listed.card.where) == ("file", "inside/scan.nii.gz")


def test_a_scan_that_was_turned_opens_turned_with_its_corrections(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = in_session(monkeypatch)
    as_stored = open_demo().study.volume
    turn_scan("RAI")
    current = first.opened
    turned = current.study.volume
    assert turned.file_orientation == "RAI"
    assert turned.digest != as_stored.digest
    (kept,) = list_projects(projects)
    assert (kept.card.orientation, kept.card.turned_from) == ("RAI", as_stored.digest)
    draw(current)
    drawn = current.corrected.infection
    first.end()

    second = in_session(monkeypatch)
    again = open_demo()
    assert again is second.opened
    assert again.study.volume.digest == turned.digest
    np.testing.assert_array_equal(again.corrected.infection, drawn)
    turn_scan(None)
    back = second.opened
    assert back.study.volume.digest == as_stored.digest
    assert back.corrected is None
    assert len(list_projects(projects)) == 1, "what was drawn on the turned scan is not lost"
    second.end()

    third = in_session(monkeypatch)
    assert open_demo().study.volume.digest == as_stored.digest, "it stays as it was left"
    turn_scan("RAI")
    np.testing.assert_array_equal(third.opened.corrected.infection, drawn)
    turn_scan("LPS")
    turn_scan("RAI")
    assert len(list_projects(projects)) == 1, "a turn on which nothing was drawn leaves nothing"


@pytest.mark.parametrize(
    ("named", "address", "expected"),
    [
        ("off", "localhost", None),
        ("", "0.0.0.0", None),
        ("", "localhost", "user"),
        ("/srv/kept", "0.0.0.0", "/srv/kept"),
    ],
)
def test_nothing_is_kept_where_others_reach_the_server_unless_its_operator_says_so(
    monkeypatch: pytest.MonkeyPatch, named: str, address: str, expected: str | None
) -> None:
    monkeypatch.setenv("LUNGLENS_PROJECTS_FOLDER", named)
    monkeypatch.setattr(
        "core.ui.projects.listens_to_this_machine_only", lambda: address == "localhost"
    )
    found = projects_folder()
    if expected is None:
        assert found is None
    elif expected == "user":
        assert found.name == "projects"
        assert found.parent.name == "lunglens"
    else:
        assert found == Path(expected)


def upload_of(study: Study) -> OpenStudy:
    """The study as one that was uploaded in this session."""
    from core.ui import open_scan

    opened = open_scan.this_session().open_study(study, origin="upload", link="upload-abc")
    return open_scan.make_ready(opened)


def test_an_uploaded_scan_that_is_kept_comes_back_by_its_link(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = in_session(monkeypatch)
    current = upload_of(small_study(name="chest.nii.gz", case_id=""))
    draw(current)
    current.notes = "a note"
    current.place = Place((3, 4, 5), plane="coronal", window=Window(40.0, 400.0))
    keep_scan(current, True)
    link, drawn = current.link, current.corrected.infection
    session.end()
    session = in_session(monkeypatch)
    again = open_link(link)
    assert again.name == "chest.nii.gz"
    assert again.notes == "a note"
    np.testing.assert_array_equal(again.corrected.infection, drawn)
    np.testing.assert_array_equal(again.study.truth.lung, small_study().truth.lung)
    assert (again.kept_state.voxel, again.kept_state.plane) == ((3, 4, 5), "coronal")
    assert session.window == Window(40.0, 400.0)
    keep_scan(again, False)
    third = in_session(monkeypatch)
    assert open_link(link) is None
    assert "not kept on this machine" in third.notice.text
    (listed,) = list_projects(projects)
    assert (listed.steps, listed.with_scan) == (1, False)
    for strange in ("project-", "project-../x", f"project-{'0' * 32}", "project-..%2f"):
        assert open_link(strange) is None


@pytest.mark.parametrize("keeping", [True, False])
def test_a_project_is_saved_and_opened_elsewhere(
    projects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeping: bool
) -> None:
    in_session(monkeypatch)
    current = open_demo()
    draw(current)
    draw(current, slices=slice(4, 5))
    current.correction.apply(Undo(), revision=2)
    current.notes = "look here"
    packed = project_zip(current, with_scan=True, identity=False)
    bare = project_zip(current, with_scan=False, identity=False)
    drawn = current.corrected.infection
    monkeypatch.setenv("LUNGLENS_PROJECTS_FOLDER", str(tmp_path / "there") if keeping else "off")
    in_session(monkeypatch)
    opened = open_project(io.BytesIO(packed))
    np.testing.assert_array_equal(opened.corrected.infection, drawn)
    assert (opened.notes, opened.correction.redoable) == ("look here", 1)
    opened.correction.close()
    in_session(monkeypatch)
    if keeping:
        with pytest.raises(ProjectError, match="already"):
            open_project(io.BytesIO(packed))
        delete_project(list_projects(tmp_path / "there")[0].folder)
        assert open_project(io.BytesIO(bare)) is None
        assert open_demo().correction.steps == 1
    else:
        with pytest.raises(ProjectError, match="holds no scan"):
            open_project(io.BytesIO(bare))


@pytest.mark.parametrize("stage", ["unpacking files", "checking masks", "reading slices"])
def test_opening_a_project_can_be_stopped_and_leaves_nothing(
    projects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    session = in_session(monkeypatch)
    current = open_demo()
    draw(current)
    packed = project_zip(current, with_scan=True, identity=False)
    there = tmp_path / "there"
    monkeypatch.setenv("LUNGLENS_PROJECTS_FOLDER", str(there))

    def stop(at: str, done: int, total: int) -> None:
        if at == stage:
            raise RerunException(RerunData())  # what drawing progress does once Stop is clicked

    with pytest.raises(RerunException):
        open_project(io.BytesIO(packed), on_progress=stop)
    assert list(there.iterdir()) == []
    assert session.opened is current


def test_a_project_whose_opening_is_stopped_is_not_opened_again(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def stopped(file: object, *, on_progress: OnProgress) -> None:
        asked.append(file)
        raise RerunException(RerunData())

    monkeypatch.setattr("core.ui.home.projects.open_project", stopped)
    app = ran_well(page("home", DEMO).run())
    (field,) = [one for one in app.get("file_uploader") if one.label == "Project (zip)"]
    ran_well(field.set_value(("project.zip", b"PK", "application/zip")).run())
    ran_well(app.run())
    assert len(asked) == 1


def test_the_same_scan_opens_with_the_masks_of_the_network(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_stand_in(monkeypatch)
    in_session(monkeypatch)
    current = open_demo()
    assert current.segmentation is None
    result = segmented(current.study)
    info = segmenting.available_weights()[0]
    remember_result(result_store(), current.study.volume, result, info)
    draw(current)
    current.correction.apply(Undo(), revision=1)
    current.set_segmentation(result)
    draw(current)
    current.correction.apply(Undo(), revision=2 + 1)
    moved = replace(result.config.postprocess, infection_threshold=0.2)
    current.set_segmentation(apply_thresholds(result, moved))
    current.notes = "kept"
    keep_state(current)
    current.correction.close()
    in_session(monkeypatch)
    again = open_demo()
    assert again.segmentation is not None
    assert again.segmentation.config.postprocess == moved
    np.testing.assert_array_equal(
        again.prediction.infection, apply_thresholds(result, moved).masks.infection
    )
    monkeypatch.setenv("LUNGLENS_RESULTS_MB", "0")
    in_session(monkeypatch)
    assert open_demo().segmentation is None


def test_masks_that_come_back_forget_no_undone_step(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_stand_in(monkeypatch)
    in_session(monkeypatch)
    current = open_demo()
    result = segmented(current.study)
    remember_result(result_store(), current.study.volume, result, segmenting.available_weights()[0])
    current.set_segmentation(result)
    draw(current)
    current.correction.apply(Undo(), revision=1)
    current.correction.close()
    in_session(monkeypatch)
    again = open_demo()
    assert again.segmentation is not None
    assert (again.corrected, again.correction.redoable) == (None, 1)
