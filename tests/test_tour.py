"""The tour: five steps, left at any time, and then gone."""

from __future__ import annotations

import pytest

from core.ui.tour import STEPS, _Tour
from tests.app_session import session_of
from tests.studies import small_study, use_stand_in
from tests.test_pages import button, finish_run, opened, page, ran_well, texts


def test_without_a_tour_nothing_stands_in_the_way() -> None:
    app = ran_well(page("home", small_study()).run())
    assert "Tour, step" not in texts(app)
    assert button(app, "Take the tour")


def test_it_begins_with_the_demo_study_and_can_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    use_stand_in(monkeypatch)
    monkeypatch.setattr(
        "core.phantom.kept_demo_study", lambda **how: small_study(synthetic=True, case_id="demo")
    )
    app = ran_well(page("home", small_study()).run())
    ran_well(button(app, "Take the tour").click().run())
    assert opened(app).origin == "demo"
    assert f"Tour, step 1 of {len(STEPS)}: Open." in texts(app)
    ran_well(button(app, "Leave the tour").click().run())
    assert "Tour, step" not in texts(app)


def test_a_scan_that_is_marked_is_not_asked_to_be_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    use_stand_in(monkeypatch)
    app = page("segment", small_study())
    session_of(app).part(_Tour).at = 1
    assert "Press **Mark lung and infection**" in texts(ran_well(app.run()))
    ran_well(button(app, "Mark lung and infection").click().run())
    shown = texts(finish_run(app))
    assert "Press **Mark lung and infection**" not in shown
    assert "Lung and infection are marked." in shown


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_every_step_says_what_to_do_on_its_page(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_stand_in(monkeypatch)
    name = ("home", "browse", "browse", "enhance", "report")[number]
    app = page(name, small_study())
    session_of(app).part(_Tour).at = number
    shown = texts(ran_well(app.run()))
    assert f"Tour, step {number + 1} of 5: {STEPS[number].title}." in shown
    labels = [one.label for one in app.button]
    assert ("Finish" in labels) == (number == 4)
    assert ("Back" in labels) == (number > 0)
