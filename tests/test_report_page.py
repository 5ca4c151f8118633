"""Report as the page offers it: nothing yet, made on demand, written anew, every file."""

from __future__ import annotations

import io
import threading
import zipfile
from datetime import date
from typing import Any

import numpy as np
import pypdfium2
import pytest
from streamlit.testing.v1 import AppTest

import core.output.report as report_files
from core.loading import load_dicom
from core.ui.report.making import jobs_of
from core.ui.session import OpenStudy
from core.volume import Study
from tests.scans import chest_hu, dicom_series, write_dicom
from tests.studies import small_study, use_stand_in
from tests.test_exports import UIDS
from tests.test_pages import button, finish_run, opened, page, ran_well, texts

SMALL = (48, 40, 20)


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUNGLENS_DATA_FOLDER", raising=False)
    use_stand_in(monkeypatch)


def made(study: Study) -> AppTest:
    """The page with the report of a study, made as a person makes it."""
    app = ran_well(page("report", study).run())
    ran_well(button(app, "Mark lung and infection").click().run())
    finish_run(app)
    ran_well(button(app, "Make the report").click().run())
    jobs_of(opened(app)).measuring.job.join(60)
    return when_written(app)


def when_written(app: AppTest) -> AppTest:
    """The page once its report is written, which may take longer than one drawing."""
    ran_well(app.run())
    jobs_of(opened(app)).writing.job.join(60)
    return ran_well(app.run())


def downloads(app: AppTest) -> list[str]:
    return [item.proto.label for item in app.get("download_button")]


def pdf_text(app: AppTest) -> str:
    document = pypdfium2.PdfDocument(written(app).pdf)
    assert len(document) == 2
    return "\n".join(leaf.get_textpage().get_text_range() for leaf in document)


def written(app: AppTest) -> Any:
    job = jobs_of(opened(app)).writing.job
    job.join(60)
    return job.result


def test_without_a_study_it_says_what_to_do() -> None:
    assert "No scan is open" in texts(ran_well(page("report").run()))


def test_without_a_prediction_it_offers_to_run_the_network() -> None:
    app = ran_well(page("report", small_study(truth=False)).run())
    assert "nothing to report yet" in texts(app)
    assert downloads(app) == []


def test_a_report_is_made_on_demand_and_written_anew_for_other_words() -> None:
    app = made(small_study(name="Mueller_Hans.nii.gz", case_id="Mueller_Hans.nii.gz"))
    assert len(written(app).pages) == 2
    assert all(content.startswith(b"\x89PNG") for content in written(app).pages)
    assert "Mueller" not in pdf_text(app)
    assert "Mueller" not in written(app).html
    measured = jobs_of(opened(app)).measuring.job.result
    first = written(app)
    app.text_input[0].set_value("Case <7> & friends")
    app.date_input[0].set_value(date(2026, 3, 4))
    ran_well(app.run())
    assert written(app) is not first
    assert jobs_of(opened(app)).measuring.job.result is measured
    assert "Case <7> & friends" in pdf_text(app)
    assert "2026-03-04" in pdf_text(app)
    assert "Case &lt;7&gt; &amp; friends" in written(app).html
    again = written(app)
    ran_well(app.run())
    assert written(app) is again
    app.toggle[0].set_value(True)
    ran_well(app.run())
    assert "Mueller_Hans.nii.gz" in pdf_text(app)


def test_writing_shows_progress_and_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, may_go_on = threading.Event(), threading.Event()
    real = report_files.page_png_bytes

    def slow(*args: Any, **settings: Any) -> tuple[bytes, ...]:
        asked.set()
        may_go_on.wait(30)
        return real(*args, **settings)

    app = made(small_study())
    first = written(app)
    monkeypatch.setattr(report_files, "page_png_bytes", slow)
    app.text_input[0].set_value("somebody")
    ran_well(app.run())
    assert asked.wait(30)
    # The pages written before are still to be seen, and no file of them is offered.
    assert len(app.get("image")) == len(first.pages)
    assert downloads(app) == []
    ran_well(button(app, "Stop").click().run())
    may_go_on.set()
    jobs_of(opened(app)).writing.job.join(30)
    ran_well(app.run())
    assert downloads(app) == []
    ran_well(button(app, "Try again").click().run())
    assert "somebody" in pdf_text(when_written(app))


def test_everything_is_packed_beside_the_page() -> None:
    app = made(small_study())
    ran_well(button(app, "Pack everything (zip)").click().run())
    jobs_of(opened(app)).packing.job.join(60)
    ran_well(app.run())
    assert any(label.startswith("Everything (zip, ") for label in downloads(app))
    packed = jobs_of(opened(app)).packing.job.result
    names = zipfile.ZipFile(io.BytesIO(packed)).namelist()
    assert {"report.pdf", "report.html", "masks/label_map.nii.gz", "README.txt"} <= set(names)
    app.text_input[0].set_value("somebody")
    when_written(app)
    assert any(b.label == "Pack everything (zip)" for b in app.button)


def test_other_thresholds_ask_for_another_report() -> None:
    app = made(small_study())
    current: OpenStudy = opened(app)
    from core.ui import segmenting

    assert current.segmentation is not None
    segmenting.change_thresholds(current, current.segmentation, lung=0.5, infection=0.9)
    ran_well(app.run())
    assert button(app, "Make the report")
    assert downloads(app) == []


@pytest.mark.parametrize("dicom", [False, True])
def test_a_dicom_segmentation_is_offered_for_dicom_only(dicom: bool, tmp_path: Any) -> None:
    study = small_study(truth=False)
    if dicom:
        folder = write_dicom(dicom_series(chest_hu(SMALL), **UIDS), tmp_path / "series")
        study = Study(load_dicom(folder), case_id="series")
    labels = downloads(made(study))
    assert ("Segmentation (DICOM)" in labels) is dicom
    assert {
        "Report (PDF)",
        "Report (HTML)",
        "Lung mask (NIfTI)",
        "Infection mask (NIfTI)",
        "Label map (NIfTI)",
        "Lung surface (STL)",
        "Infection surface (PLY)",
        "Measurements (JSON)",
        "Biomarkers (CSV)",
        "Slices (CSV)",
    } <= set(labels)


def test_nothing_marked_offers_no_surfaces() -> None:
    app = made(small_study(truth=False))
    current = opened(app)
    assert current.segmentation is not None
    for mask in (current.segmentation.masks.lung, current.segmentation.masks.infection):
        assert mask is not None
        mask.flags.writeable = True
        mask[:] = np.False_
    labels = downloads(ran_well(app.run()))
    assert not any("surface" in label for label in labels)
    assert "Lung mask (NIfTI)" in labels
