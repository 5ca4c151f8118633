"""Pages with a corrected mask: figures follow, and everything says whose masks are measured."""

from __future__ import annotations

import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.correction import Paint, SliceAt, Undo, runs_of
from core.segmentation import with_hand_correction
from core.ui.report.making import jobs_of
from core.ui.session import OpenStudy
from tests.studies import small_study, use_stand_in
from tests.test_pages import button, html_pieces, opened, page, ran_well, texts
from tests.test_report import segmented
from tests.test_report_page import when_written


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUNGLENS_DATA_FOLDER", raising=False)
    use_stand_in(monkeypatch)


def marked(app: AppTest) -> AppTest:
    """The page once the stand-in has marked lung and infection."""
    opened(app).set_segmentation(segmented(opened(app).study))
    return ran_well(app.run())


def draw(current: OpenStudy, *, slices: slice = slice(2, 3), channel: str = "infection") -> int:
    """A block of 8×10 voxels in each slice; gives how many voxels it adds."""
    mask = np.zeros(current.study.volume.shape, dtype=bool, order="F")
    mask[36:44, 10:20, slices] = True
    numbers = np.flatnonzero(mask.reshape(-1, order="F"))
    edit = Paint(channel, True, runs_of(numbers), SliceAt("axial", slices.start))
    change = current.correction.apply(edit, revision=current.correction.revision, free=True)
    return change.flips[channel].voxels


def downloads(app: AppTest) -> list[str]:
    return [item.proto.label for item in app.get("download_button")]


def test_browse_compares_with_the_network_after_each_stroke() -> None:
    app = marked(ran_well(page("browse", small_study(truth=True)).run()))
    assert "Your masks against the network's" not in texts(app)
    added = draw(opened(app))
    text = texts(ran_well(app.run()))
    assert "Your masks against the network's" in text
    assert "Corrected" in text
    assert f"{added * 1.5 * 1.5 * 5 / 1000:.1f}\u00a0ml" in text
    assert "Agreement with the truth: corrected by hand" in text
    current = opened(app)
    current.correction.apply(Undo(), revision=1)
    assert "Your masks against the network's" not in texts(ran_well(app.run()))


def test_measures_of_the_network_are_kept_and_those_of_the_correction_are_not() -> None:
    app = marked(ran_well(page("browse", small_study()).run()))
    current = opened(app)
    draw(current)
    ran_well(app.run())
    kept = current.memo["scan", "Prediction"]
    before = current.corrected_memo["scan", "Corrected"]
    draw(current, slices=slice(4, 6))
    ran_well(app.run())
    assert current.memo["scan", "Prediction"] is kept
    after = current.corrected_memo["scan", "Corrected"]
    assert after.infection_volume_ml > before.infection_volume_ml


def test_segment_measures_the_corrected_masks_and_offers_their_files() -> None:
    app = marked(ran_well(page("segment", small_study()).run()))
    before = next(piece for piece in html_pieces(app) if "is infected" in piece)
    draw(opened(app), slices=slice(0, 8))
    ran_well(app.run())
    after = next(piece for piece in html_pieces(app) if "is infected" in piece)
    assert re.findall("<b>.*</b>", after) != re.findall("<b>.*</b>", before)
    assert "The masks were corrected by hand (1 step)" in texts(app)
    assert "Lung mask (NIfTI)" in downloads(app)


def test_thresholds_move_the_networks_masks_and_leave_the_correction() -> None:
    app = marked(ran_well(page("segment", small_study()).run()))
    current = opened(app)
    draw(current)
    drawn = current.corrected.infection.copy()
    app.slider[1].set_value(0.95)
    ran_well(app.run())
    assert not current.prediction.infection.any()
    np.testing.assert_array_equal(current.corrected.infection, drawn)


def test_a_scan_without_network_masks_is_drawn_on_and_its_files_offered() -> None:
    app = ran_well(page("segment", small_study(truth=False)).run())
    assert downloads(app) == []
    draw(opened(app))
    text = texts(ran_well(app.run()))
    assert "The masks were drawn by hand (1 step)" in text
    files = ["Infection mask (NIfTI)", "Measurements (JSON)", "Measurements (CSV)"]
    assert downloads(app) == files
    for name in ("browse", "quality", "home"):
        other = page(name, small_study(truth=False))
        draw(opened(other))
        ran_well(other.run())


def test_a_report_is_made_of_the_corrected_masks_and_again_after_another_stroke() -> None:
    app = marked(ran_well(page("report", small_study()).run()))
    current = opened(app)
    draw(current)
    ran_well(app.run())
    ran_well(button(app, "Make the report").click().run())
    jobs_of(current).measuring.job.join(60)
    ran_well(app.run())
    report = jobs_of(current).measuring.outcome().result
    assert report.by_hand.text == "corrected by hand"
    assert ("Masks", "corrected by hand") in report.facts
    draw(current, slices=slice(4, 6))
    ran_well(app.run())
    assert button(app, "Make the report")


def test_a_scan_that_was_only_drawn_on_has_a_report_and_every_file() -> None:
    app = ran_well(page("report", small_study(truth=False)).run())
    current = opened(app)
    draw(current)
    ran_well(app.run())
    assert "The masks were drawn by hand (1 step)" in texts(app)
    ran_well(button(app, "Make the report").click().run())
    jobs_of(current).measuring.job.join(60)
    when_written(app)
    assert jobs_of(current).measuring.outcome().result.by_hand.text == "drawn by hand"
    assert {"Infection mask (NIfTI)", "Label map (NIfTI)", "Slices (CSV)"} <= set(downloads(app))


def test_the_result_is_one_object_until_the_next_stroke() -> None:
    app = marked(ran_well(page("segment", small_study()).run()))
    current = opened(app)
    assert current.result is current.segmentation
    draw(current)
    result = current.result
    assert result is current.result
    assert result.masks is current.corrected
    same = with_hand_correction(current.segmentation, current.corrected, current.correction.record)
    assert result.by_hand == same.by_hand
    draw(current, slices=slice(4, 6))
    assert current.result is not result


def test_a_closed_session_holds_no_correction() -> None:
    app = marked(ran_well(page("browse", small_study()).run()))
    current = opened(app)
    draw(current)
    current.let_go()
    assert current.corrected is None
    assert current.result is None
