"""Kept corrections in the app: brought back when a scan is opened, listed on Home."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.correction.project import list_projects
from core.ui.open_scan import open_demo, open_file
from core.ui.projects import projects_folder
from core.ui.session import Session
from core.volume import Study
from tests.studies import small_study
from tests.test_correct_page import draw
from tests.test_pages import button, opened, page, ran_well, session_of, texts


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "projects"
    monkeypatch.setenv("LUNGLENS_PROJECTS_FOLDER", str(folder))
    monkeypatch.setattr("core.ui.open_scan._demo_study", lambda: DEMO)
    return folder


DEMO: Study = small_study(truth=False, synthetic=True)


def in_session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """A new session, as another day begins."""
    session = Session()
    monkeypatch.setattr("core.ui.open_scan.this_session", lambda: session)
    monkeypatch.setattr("core.ui.session.this_session", lambda: session)
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
    assert second.notice.text == "Brought back 1 step of earlier corrections of this scan."


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
    monkeypatch.setattr("core.ui.open_scan._demo_study", lambda: DEMO)
    app = ran_well(page("home").run())
    assert "Corrected scans" in "\n".join(item.value for item in app.subheader)
    assert "demo study, 1 step, changed " in texts(app)
    name = next(field for field in app.text_input if field.label == "Name")
    name.set_value("Patient of Monday")
    ran_well(button(app, "Save the name").click().run())
    assert "**Patient of Monday**" in texts(app)
    ran_well(button(app, "Open").click().run())
    assert opened(app).correction.steps == 1
    ran_well(button(app, "Delete for good").click().run())
    assert "This project is open" in texts(app)
    session_of(app).end()
    ran_well(button(app, "Delete for good").click().run())
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
