"""Every page with and without a study, run without a browser."""

from __future__ import annotations

import csv
import gzip
import io
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from streamlit.runtime.scriptrunner import RerunData, RerunException
from streamlit.testing.v1 import AppTest

from core.errors import DownloadError, LungLensError, WeightsError, shown_name
from core.loading import SeriesInfo, SeveralSeriesError, open_study
from core.loading.names import safe_name
from core.output.exports import values_csv
from core.system.numbers import number_text
from core.ui import segmenting
from core.ui.home.opening import PublicSet
from core.ui.jobs import BackgroundJob, FairQueue
from core.ui.links import FileLinks
from core.ui.segment.results import file_stem
from core.ui.session import OpenStudy
from core.ui.text import area_text, escape_markdown, percent, volume_text
from core.ui.viewer import Place
from core.volume import Study
from tests.app_session import app_at, script_of, session_of
from tests.bad_inputs import REPRESENTATIVES
from tests.scans import (
    chest_hu,
    chest_picture,
    dicom_series,
    nifti_bytes,
    png_bytes,
    small_affine,
    write_dicom,
)
from tests.studies import StandInInfo, StandInSegmenter, small_study

PAGES = Path(__file__).resolve().parent.parent / "pages"
PAGE_NAMES = ("home", "browse", "quality", "enhance", "region", "segment", "report")
NO_NETWORK_PAGES = ("quality",)
"""Pages that do without a network, and so without a word about a broken one."""


def page(name: str, study=None, *, origin="case", link="small", **params: str) -> AppTest:
    """A page in a session where `study`, or nothing, is open."""
    app = app_at(name)
    session_of(app).began = True
    if study is not None:
        session_of(app).opened = OpenStudy(study=study, origin=origin, link=link)
    for key, value in params.items():
        app.query_params[key] = value
    return app


def ran_well(app: AppTest) -> AppTest:
    assert [e.value for e in app.exception] == []
    return app


def texts(app: AppTest) -> str:
    """All that a person can read on the page and in its sidebar."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "warning", "error", "success")
    written = [item.value for kind in kinds for item in getattr(app, kind)]
    return "\n".join(map(str, written + html_pieces(app)))


def html_pieces(app: AppTest) -> list[str]:
    """The tables of figures, as HTML."""
    return [item.proto.body for item in app.get("html")]


def button(app: AppTest, label: str):
    return next(b for b in app.button if b.label == label)


def opened(app: AppTest) -> OpenStudy:
    return session_of(app).opened


def place(app: AppTest) -> Place:
    """Where in the open scan the person is."""
    return opened(app).place


def told(app: AppTest, **where) -> AppTest:
    """Runs the page again after the viewer has said where it is, as it does on release."""
    place(app).follow(where, opened(app).study.volume.shape)
    return ran_well(app.run())


def in_address(app: AppTest, name: str) -> str:
    value = app.query_params[name]  # a list in some versions of Streamlit
    return value[0] if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch):
    monkeypatch.delenv("LUNGLENS_DATA_FOLDER", raising=False)


@pytest.fixture
def stand_in(monkeypatch) -> StandInSegmenter:
    """A stand-in for the trained network, already loaded."""
    segmenter = StandInSegmenter()
    monkeypatch.setattr("core.segmentation.load_segmenter", lambda weights_id=None: segmenter)
    monkeypatch.setattr("core.segmentation.list_weights", lambda *a: (StandInInfo(),))
    yield segmenter
    segmenter.may_go_on.set()


def finish_run(app: AppTest) -> AppTest:
    """Waits for the run under way, and draws the page again."""
    if session_of(app).network_run.job is not None:
        session_of(app).network_run.job.join(30)
    return ran_well(app.run())


# ---------------------------------------------------------------- every page


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_without_a_study_a_page_says_what_to_do(name):
    app = ran_well(page(name).run())
    assert "No scan is open" in texts(app)
    assert not app.error
    assert any("demo study" in b.label for b in app.button)


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_with_a_study_a_page_tells_its_name_place_and_limits_of_use(name):
    app = ran_well(page(name, small_study(synthetic=True), plane="coronal", slice="7").run())
    sidebar = " ".join(item.value for item in (*app.sidebar.markdown, *app.sidebar.caption))
    assert "small" in sidebar
    assert "48 × 40 × 8 voxels" in sidebar
    assert "Research use only" in sidebar
    assert "SYNTHETIC" in sidebar
    assert (place(app).plane, place(app).slice_index) == ("coronal", 6)


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_markup_in_a_name_is_shown_as_it_is_and_every_widget_has_label_and_help(name, stand_in):
    hostile = "**b** <script>alert(1)</script> [x](http://y) $a$ :red[c] :smile:"
    study = small_study(name=hostile, case_id=hostile, grey=True)
    app = ran_well(page(name, study).run())
    shown = app.sidebar.markdown[1].value
    assert r"\*\*b\*\* \<script\>" in shown
    assert r"\:red\[c\]" in shown
    assert not any("<script>" in piece for piece in html_pieces(app))
    for kind in ("slider", "selectbox", "number_input", "text_input", "segmented_control", "pills"):
        for widget in getattr(app, kind):
            assert widget.label, kind
            assert widget.help, widget.label


def test_pages_do_not_import_tensorflow():
    scripts = [script_of(name) for name in PAGE_NAMES]
    code = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "from core.ui.session import SESSION_KEY, Session\n"
        "from streamlit.components.v2 import manifest_scanner\n"
        "manifest_scanner.scan_component_manifests = list\n"
        f"for path, part in {[(str(path), part) for path, part in scripts]!r}:\n"
        "    app = AppTest.from_file(path, default_timeout=60)\n"
        "    app.session_state[SESSION_KEY] = Session(began=True, asked_part=part)\n"
        "    app.run()\n"
        "    assert not app.exception, path\n"
        "    assert not {'tensorflow', 'keras'} & set(sys.modules), path\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=PAGES.parent, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


# ---------------------------------------------------------------- Home


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    app.file_uploader[0].set_value([(name, content, "") for name, content in files])
    return app.run()


def packed_chest() -> bytes:
    return gzip.compress(nifti_bytes(chest_hu()))


def test_an_upload_is_opened_and_what_was_recognised_is_reported():
    app = ran_well(upload(page("home").run(), ("chest.nii.gz", packed_chest())))
    assert "Opened" in app.success[0].value
    study = opened(app).study
    assert study.volume.shape == (48, 40, 8)
    assert opened(app).origin == "upload"
    shown = texts(app)
    for part in ("chest", "Size", "Spacing", "Orientation", "HU"):
        assert part in shown


def test_a_broken_upload_is_one_sentence_and_the_open_study_stays():
    app = page("home", small_study()).run()
    before = opened(app)
    ran_well(upload(app, ("broken.nii.gz", packed_chest()[:200])))
    (error,) = app.error
    assert "broken" in error.value
    assert "Still open" in error.value
    assert opened(app) is before


def test_an_upload_that_is_stopped_is_not_opened_again(monkeypatch):
    asked = []

    def open_study(path, *, series_uid=None, window=None, on_progress=None):
        asked.append(path)
        raise RerunException(RerunData())  # what drawing progress does once Stop is clicked

    monkeypatch.setattr("core.loading.open_study", open_study)
    app = page("home", small_study()).run()
    before = opened(app)
    ran_well(upload(app, ("chest.nii.gz", packed_chest())))
    ran_well(app.run())
    assert len(asked) == 1
    assert not Path(asked[0][0]).exists()
    assert opened(app) is before


def uploaded(path: Path) -> list[tuple[str, bytes]]:
    """A file, or all files of a folder, as a browser sends them."""
    files = files_of(path) if path.is_dir() else [path]
    return [(file.name, file.read_bytes()) for file in files]


def files_of(folder: Path) -> list[Path]:
    """All files below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


NEVER_UPLOADED = ("name of 300 characters", "missing file", "empty folder")
CAN_BE_UPLOADED = [bad for bad in REPRESENTATIVES if bad.name not in NEVER_UPLOADED]


@pytest.mark.parametrize("bad", CAN_BE_UPLOADED, ids=lambda bad: bad.name)
def test_a_bad_upload_is_reported_in_the_words_of_loading(bad, tmp_path, monkeypatch):
    path = bad.build(tmp_path)
    with pytest.raises(LungLensError) as refused:
        open_study(files_of(path) if path.is_dir() else path)
    # Uploads are kept under names that any file system takes.
    words = str(refused.value).replace(shown_name(path), safe_name(path.name))
    app = page("home", small_study()).run()
    before = opened(app)
    ran_well(upload(app, *uploaded(path)))
    assert opened(app) is before
    assert opened(app).study.case_id == "small"
    if isinstance(refused.value, SeveralSeriesError):
        assert not app.error
        assert len(app.radio[0].options) == 2
        return
    (error,) = app.error
    assert error.value == escape_markdown(f"{words} Still open: small.")


def test_a_mask_is_laid_beside_the_open_scan():
    app = ran_well(upload(page("home").run(), ("chest.nii.gz", packed_chest())))
    mask = np.zeros((48, 40, 8), dtype=np.uint8)
    mask[10:20, 10:20, 2:4] = 1
    lung = next(u for u in app.file_uploader if u.label == "Lung mask")
    lung.set_value(("lung.nii.gz", gzip.compress(nifti_bytes(mask)), ""))
    ran_well(app.run())
    ran_well(button(app, "Add masks").click().run())
    truth = opened(app).study.truth
    assert truth is not None
    np.testing.assert_array_equal(truth.lung, mask > 0)


def test_masks_of_a_stack_are_laid_by_their_names():
    slices = [(f"s{k}.png", png_bytes(chest_picture(k=k))) for k in (2, 3)]
    app = ran_well(upload(page("home").run(), *slices))
    masks = np.zeros((*chest_picture().shape, 2), dtype=np.uint8)
    masks[5:9, 6:12, 0], masks[20:25, 8:11, 1] = 255, 255
    lung = next(u for u in app.file_uploader if u.label == "Lung mask")
    lung.set_value([(f"s{k + 2}.png", png_bytes(masks[:, :, k]), "image/png") for k in (1, 0)])
    app.run()
    ran_well(button(app, "Add masks").click().run())
    truth = opened(app).study.truth
    assert truth is not None
    np.testing.assert_array_equal(truth.lung, masks.transpose(1, 0, 2) > 0)


def test_a_mask_of_another_shape_is_refused_and_nothing_is_lost():
    app = ran_well(upload(page("home").run(), ("chest.nii.gz", packed_chest())))
    lung = next(u for u in app.file_uploader if u.label == "Lung mask")
    lung.set_value(("lung.nii.gz", gzip.compress(nifti_bytes(np.ones((5, 5, 5), "u1"))), ""))
    app.run()
    ran_well(button(app, "Add masks").click().run())
    assert len(app.error) == 1
    assert opened(app).study.truth is None


def test_labels_that_are_not_known_are_asked_about():
    app = ran_well(upload(page("home").run(), ("chest.nii.gz", packed_chest())))
    mask = np.zeros((48, 40, 8), dtype=np.uint8)
    mask[10:20, 10:20, 2:4], mask[10:20, 10:20, 4], mask[30:33, 20:24, 5] = 1, 4, 7
    infection = next(u for u in app.file_uploader if u.label == "Infection mask")
    infection.set_value(("ill.nii.gz", gzip.compress(nifti_bytes(mask)), ""))
    app.run()
    ran_well(button(app, "Add masks").click().run())
    assert not app.error
    assert opened(app).study.truth is None
    assert button(app, "Use these labels").disabled
    app.multiselect[0].set_value([4, 7])
    ran_well(button(app.run(), "Use these labels").click().run())
    truth = opened(app).study.truth
    assert truth is not None
    np.testing.assert_array_equal(truth.infection, mask >= 4)
    assert not app.multiselect


def test_a_question_about_labels_goes_with_its_scan():
    app = ran_well(upload(page("home").run(), ("chest.nii.gz", packed_chest())))
    mask = np.zeros((48, 40, 8), dtype=np.uint8)
    mask[10:20, 10:20, 2], mask[10:20, 10:20, 4] = 5, 6
    infection = next(u for u in app.file_uploader if u.label == "Infection mask")
    infection.set_value(("ill.nii.gz", gzip.compress(nifti_bytes(mask)), ""))
    app.run()
    ran_well(button(app, "Add masks").click().run())
    assert len(app.multiselect) == 1
    ran_well(upload(app, ("other.nii.gz", packed_chest())))
    assert not app.multiselect
    assert session_of(app).pending_labels is None


def test_values_of_no_known_scale_are_asked_about():
    hu = np.clip(chest_hu(), -1000, 400)
    stretched = gzip.compress(nifti_bytes(((hu + 1000) / 1400 * 2 - 1).astype(np.float32)))
    app = ran_well(upload(page("home").run(), ("net.nii.gz", stretched)))
    assert "does not look like CT" in app.error[0].value
    assert opened(app) is None
    low, high = (n for n in app.number_input if n.label.endswith("value, HU"))
    low.set_value(-1000.0)
    high.set_value(400.0)
    ran_well(button(app, "Open with this scale").click().run())
    volume = opened(app).study.volume
    # Black and white are the lowest and the highest value of the scan.
    spread = (volume.hu(volume.array) - hu).ravel()
    assert np.abs(spread).max() < 1400 - (hu.max() - hu.min()) + 1
    assert volume.unit == "unknown"
    assert not app.error
    assert session_of(app).pending_scale is None


def lying_wrongly() -> Study:
    """A chest whose front and back are exchanged, with a true mask."""
    study = small_study()
    source = replace(study.volume.source, other_orientation="LAS")
    return replace(study, volume=replace(study.volume, source=source))


@pytest.mark.parametrize("name", ["home", "browse"])
def test_a_scan_of_wrong_orientation_is_turned_and_turned_back(name):
    study = lying_wrongly()
    app = ran_well(page(name, study).run())
    ran_well(button(app, "Turn the scan to LAS").click().run())
    turned = opened(app)
    np.testing.assert_array_equal(turned.study.volume.array, study.volume.array[:, ::-1])
    np.testing.assert_array_equal(turned.study.truth.lung, study.truth.lung[:, ::-1])
    assert (turned.origin, turned.link) == ("case", "small")
    assert turned.segmentation is None
    ran_well(button(app, "Turn it back").click().run())
    np.testing.assert_array_equal(opened(app).study.volume.array, study.volume.array)
    assert button(app, "Turn the scan to LAS")


def test_a_scan_in_the_orientation_of_its_file_is_not_asked_about():
    app = ran_well(page("home", small_study()).run())
    assert not any("Turn" in b.label for b in app.button)


def test_without_a_data_folder_no_path_can_be_given():
    app = ran_well(page("home", small_study()).run())
    assert not app.text_input
    assert "LUNGLENS_DATA_FOLDER" in texts(app)


@pytest.fixture
def allowed_folder(tmp_path, monkeypatch) -> Path:
    """A data folder with one scan in it and one beside it."""
    folder = tmp_path / "allowed"
    folder.mkdir()
    (folder / "chest.nii.gz").write_bytes(packed_chest())
    (tmp_path / "secret.nii.gz").write_bytes(packed_chest())
    monkeypatch.setenv("LUNGLENS_DATA_FOLDER", str(folder))
    return folder


def open_path(app: AppTest, text: str) -> AppTest:
    app.text_input[0].set_value(text)
    return ran_well(button(app, "Open").click().run())


def test_a_path_inside_the_data_folder_opens(allowed_folder):
    app = open_path(page("home", small_study()).run(), "chest.nii.gz")
    assert opened(app).study.volume.shape == (48, 40, 8)


def test_an_address_leads_to_a_file_without_naming_it(allowed_folder):
    named = allowed_folder / "Doe_Jane"
    named.mkdir()
    (allowed_folder / "chest.nii.gz").rename(named / "chest.nii.gz")
    app = open_path(page("home", small_study()).run(), "Doe_Jane/chest.nii.gz")
    link = opened(app).link
    assert re.fullmatch(r"file-[0-9a-f]{12}", link)
    other = page("browse", case=link, slice="3")
    session_of(other).began = False
    ran_well(other.run())
    assert opened(other).study.volume.shape == (48, 40, 8)
    assert in_address(other, "case") == link
    assert place(other).slice_index == 2


@pytest.mark.parametrize("link", ["file-000000000000", "file-", "file-../secret.nii.gz"])
def test_an_address_of_a_file_that_was_never_opened_is_reported(allowed_folder, link):
    app = page("browse", case=link)
    session_of(app).began = False
    ran_well(app.run())
    assert "Open the file again" in app.warning[0].value
    assert "No scan is open" in texts(app)


def test_file_links_are_bounded_and_the_same_each_time():
    links = FileLinks(most=3)
    given = [links.link_to(Path(f"{number}.nii")) for number in range(5)]
    assert len(set(given)) == 5
    assert links.link_to(Path("4.nii")) == given[4]
    assert links.path_of(given[4]) == Path("4.nii")
    assert links.path_of(given[0]) is None


@pytest.mark.parametrize(
    "text",
    ["../secret.nii.gz", "/etc/hostname", "link.nii.gz", "", "no such file", "a\0b", "x" * 9999],
)
def test_a_path_outside_the_data_folder_does_not_open(allowed_folder, text):
    (allowed_folder / "link.nii.gz").symlink_to(allowed_folder.parent / "secret.nii.gz")
    app = page("home", small_study()).run()
    before = opened(app)
    open_path(app, text)
    assert len(app.error) == 1
    assert opened(app) is before


@pytest.fixture
def public_set(allowed_folder) -> Path:
    """Two cases laid out as the public set."""
    rows = []
    for number in ("001", "002"):
        names = {
            "ct_scan": f"ct_scans/coronacases_org_{number}.nii.gz",
            "lung_mask": f"lung_mask/coronacases_{number}.nii.gz",
            "infection_mask": f"infection_mask/coronacases_{number}.nii.gz",
        }
        mask = (chest_hu() < -500).astype(np.uint8)
        for column, name in names.items():
            path = allowed_folder / name
            path.parent.mkdir(exist_ok=True)
            array = chest_hu() if column == "ct_scan" else mask
            nib.save(nib.Nifti1Image(array, small_affine()), path)
        rows.append({c: f"../input/covid19-ct-scans/{n}" for c, n in names.items()})
    with (allowed_folder / "metadata.csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return allowed_folder


def test_the_public_set_is_a_table_of_cases(public_set):
    app = ran_well(page("home", small_study()).run())
    (table,) = app.dataframe
    assert list(table.value["Case"]) == ["coronacases_org_001", "coronacases_org_002"]


def test_a_changed_file_of_a_case_is_read_again(public_set):
    from core.ui.data_folder import case_study

    scan = public_set / "ct_scans" / "coronacases_org_001.nii.gz"
    before = case_study("coronacases_org_001")
    assert case_study("coronacases_org_001") is before  # shared, as long as the files stay
    nib.save(nib.Nifti1Image(chest_hu() + np.int16(7), small_affine()), scan)
    after = case_study("coronacases_org_001")
    assert np.array_equal(after.volume.array, before.volume.array + 7)
    mask = public_set / "infection_mask" / "coronacases_001.nii.gz"
    empty = np.zeros(chest_hu().shape, np.uint8)
    nib.save(nib.Nifti1Image(empty, small_affine()), mask)
    assert before.truth.infection.any()
    assert not case_study("coronacases_org_001").truth.infection.any()


def test_a_folder_that_may_not_be_read_is_passed_over(allowed_folder, public_set, monkeypatch):
    closed, listing = allowed_folder / "lost+found", Path.iterdir
    closed.mkdir()

    def iterdir(folder):
        if folder == closed:
            raise PermissionError(13, "Permission denied", str(folder))
        return listing(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    for name in ("ct_scans", "lung_mask", "infection_mask", "metadata.csv"):
        (allowed_folder / name).rename(allowed_folder.parent / name)
    app = ran_well(page("home", small_study()).run())
    assert not app.dataframe
    inner = allowed_folder / "public set"
    inner.mkdir()
    for name in ("ct_scans", "lung_mask", "infection_mask", "metadata.csv"):
        (allowed_folder.parent / name).rename(inner / name)
    app = ran_well(page("home", small_study()).run())
    assert len(app.dataframe) == 1


def download_set(app: AppTest, label: str = "Download the 20 cases") -> AppTest:
    button(app, label).click().run()
    if session_of(app).part(PublicSet).download.job is not None:
        session_of(app).part(PublicSet).download.job.join(10)
    return ran_well(app.run())


def test_the_public_set_can_be_downloaded_into_the_data_folder(allowed_folder, monkeypatch):
    def download(folder, *, on_progress, should_cancel):
        for name in ("ct_scans", "lung_mask", "infection_mask"):
            (folder / name).mkdir(parents=True)
        (folder / "ct_scans" / "coronacases_org_001.nii.gz").write_bytes(packed_chest())
        return folder

    monkeypatch.setattr("core.loading.download_covid20", download)
    app = download_set(page("home", small_study()).run())
    (table,) = app.dataframe
    assert list(table.value["Case"]) == ["coronacases_org_001"]
    assert list(table.value["True masks"]) == ["none"]
    assert button(app, "Continue downloading the masks")


def test_without_a_network_downloading_is_one_sentence(allowed_folder, monkeypatch):
    def download(folder, *, on_progress, should_cancel):
        raise DownloadError("The data set cannot be fetched", next_step="check the network")

    monkeypatch.setattr("core.loading.download_covid20", download)
    app = download_set(page("home", small_study()).run())
    assert "check the network" in app.error[0].value
    ran_well(button(app, "Close").click().run())
    assert not app.error


def test_several_series_are_left_for_the_person_to_choose(monkeypatch):
    series = tuple(
        SeriesInfo(
            uid=uid,
            description=f"*{uid}*",
            n_slices=12,
            size="512×512",
            modality="CT",
        )
        for uid in ("1.2.3", "4.5.6")
    )

    def open_study(path, *, series_uid=None, window=None, on_progress=None):
        if series_uid is None:
            raise SeveralSeriesError(series)
        return small_study(case_id=f"series {series_uid}")

    monkeypatch.setattr("core.loading.open_study", open_study)
    app = page("home", small_study()).run()
    before = opened(app)
    ran_well(upload(app, ("a.zip", b"content")))
    assert opened(app) is before
    assert len(app.radio[0].options) == 2
    app.radio[0].set_value(1)
    ran_well(button(app, "Open this series").click().run())
    assert opened(app).study.case_id == "series 4.5.6"
    assert not app.radio


def test_slices_that_each_have_a_series_are_opened_as_one_after_a_question(tmp_path):
    datasets = dicom_series(chest_hu(), FrameOfReferenceUID="1.2.3.4")
    for number, dataset in enumerate(datasets):
        dataset.SeriesInstanceUID = f"1.2.3.{number}"
    folder = write_dicom(datasets, tmp_path / "study")
    app = page("home", small_study()).run()
    ran_well(upload(app, *uploaded(folder)))
    assert any("Open them as one scan?" in text.value for text in app.markdown)
    assert [o.replace("\\", "") for o in app.radio[0].options] == [
        "all slices joined, 8 slices, 48 × 40, CT"
    ]
    ran_well(button(app, "Open this series").click().run())
    np.testing.assert_array_equal(opened(app).study.volume.array, chest_hu())


def test_an_address_with_a_case_opens_it_with_its_truth(public_set):
    app = page("browse", case="coronacases_org_002", plane="coronal", slice="7")
    session_of(app).began = False
    ran_well(app.run())
    assert opened(app).study.case_id == "coronacases_org_002"
    assert opened(app).study.truth is not None
    assert (place(app).plane, place(app).slice_index) == ("coronal", 6)


def test_an_address_keeps_the_orientation_that_a_person_agreed_to(public_set):
    def at(**address: str):
        app = page("browse", case="coronacases_org_002", **address)
        session_of(app).began = False
        return app.run()

    plain = ran_well(at())
    assert "turn" not in plain.query_params
    codes = opened(plain).study.volume.file_orientation.translate(str.maketrans("AP", "PA"))
    turned = ran_well(at(turn=codes, plane="axial", slice="3"))
    assert opened(turned).turn == in_address(turned, "turn") == codes
    assert in_address(turned, "slice") == "3"
    there = opened(plain).study.volume.array
    np.testing.assert_array_equal(opened(turned).study.volume.array, there[:, ::-1])
    ran_well(button(turned, "Turn it back").click().run())
    assert "turn" not in turned.query_params
    np.testing.assert_array_equal(opened(turned).study.volume.array, there)
    wrong = at(turn="XYZ")
    assert "orientation cannot be used" in wrong.error[0].value
    assert opened(wrong).turn == ""


# ---------------------------------------------------------------- Browse


def test_browse_begins_at_the_most_infected_slice_and_writes_the_address():
    app = ran_well(page("browse", small_study()).run())
    assert place(app).voxel == (24, 20, 4)
    assert in_address(app, "case") == "small"
    assert in_address(app, "plane") == "axial"
    assert in_address(app, "slice") == "5"


def test_measurements_and_address_follow_the_viewer():
    app = page("browse", small_study()).run()
    before = texts(app)
    told(app, plane="axial", voxel=[24, 20, 0], center=-600, width=1500)
    assert in_address(app, "slice") == "1"
    assert texts(app) != before
    told(app, plane="sagittal", voxel=[47, 20, 0], center=-600, width=1500)
    assert (in_address(app, "plane"), in_address(app, "slice")) == ("sagittal", "48")


def test_the_viewer_is_commanded_once_and_not_by_what_it_has_told():
    app = page("browse", small_study()).run()
    asked = dict(place(app).asked)
    told(app, plane="coronal", voxel=[1, 2, 3], center=40, width=400)
    assert place(app).asked == asked
    place(app).go_to(voxel=(1, 2, 5))
    assert place(app).asked["command"] == asked["command"] + 1
    assert place(app).asked["voxel"] == [1, 2, 5]


@pytest.mark.parametrize(
    ("slice_text", "shown"), [("999", 8), ("0", 1), ("-3", 5), ("x", 5), ("²", 5), ("9" * 50, 8)]
)
def test_any_slice_in_the_address_is_accepted(slice_text, shown):
    app = ran_well(page("browse", small_study(), plane="axial", slice=slice_text).run())
    assert place(app).slice_index == shown - 1


def test_an_upload_that_is_gone_is_reported():
    app = page("browse", case="upload-abc123", slice="4")
    session_of(app).began = False
    ran_well(app.run())
    assert "uploaded" in app.warning[0].value
    assert "No scan is open" in texts(app)


def test_a_case_that_does_not_exist_is_reported():
    app = page("browse", case="<b>nobody</b>")
    session_of(app).began = False
    ran_well(app.run())
    assert len(app.warning) == 1
    assert "No scan is open" in texts(app)


def test_areas_and_volumes_are_the_masks_own():
    app = ran_well(page("browse", small_study()).run())
    # Slice 5 holds two blocks of 6×4 voxels of 1.5×1.5 mm: 48 × 2.25 mm² = 1.08 cm².
    # The scan holds 4 blocks: 96 × 11.25 mm³ = 1.08 ml.
    shown = texts(app)
    assert "1.1\u00a0cm²" in shown
    assert "1.1\u00a0ml" in shown


def test_where_spacing_is_nominal_sizes_are_not_known_but_shares_are():
    app = ran_well(page("browse", small_study(nominal=True)).run())
    shown = texts(app)
    assert "not known" in shown
    assert "\u00a0cm²" not in shown
    assert "\u2009%" in shown


def test_share_of_a_slice_without_lung_is_not_defined():
    study = small_study()
    study.truth.lung[:, :, 0] = False
    app = page("browse", study).run()
    told(app, plane="axial", voxel=[24, 20, 0], center=-600, width=1500)
    assert "not defined" in texts(app)


def test_without_any_mask_browse_shows_the_scan_alone():
    app = ran_well(page("browse", small_study(truth=False)).run())
    assert place(app).slice_index == 4
    assert "Agreement" not in texts(app)


def test_the_grey_scale_stays_when_another_scan_is_opened():
    app = page("browse", small_study()).run()
    told(app, plane="axial", voxel=[0, 0, 0], center=40, width=400)
    session_of(app).window = place(app).window
    session_of(app).opened = OpenStudy(study=small_study(), origin="case", link="other")
    ran_well(app.run())
    assert (place(app).window.center, place(app).window.width) == (40, 400)


def test_a_single_slice_is_shown_too():
    study = small_study(truth=False)
    volume = replace(study.volume, array=study.volume.array[:, :, :1])
    app = ran_well(page("browse", replace(study, volume=volume)).run())
    assert place(app).slice_index == 0


def test_the_scale_of_grey_values_can_be_corrected():
    app = ran_well(page("browse", small_study(grey=True)).run())
    low, high = app.number_input
    assert (low.value, high.value) == (-1250, 250)
    low.set_value(-1000.0)
    high.set_value(400.0)
    ran_well(button(app, "Use this scale").click().run())
    volume = opened(app).study.volume
    assert volume.hu(np.array([0, 255])) == pytest.approx([-1000, 400])
    assert volume.unit == "unknown"
    ran_well(button(app, "The values are HU").click().run())
    assert opened(app).study.volume.unit == "HU"


def test_a_scale_upside_down_is_refused():
    app = page("browse", small_study(grey=True)).run()
    app.number_input[0].set_value(500.0)
    ran_well(button(app, "Use this scale").click().run())
    assert len(app.error) == 1
    assert opened(app).study.volume.hu(np.array([0, 255])) == pytest.approx([-1250, 250])


# ---------------------------------------------------------------- running the network


def test_without_weights_pages_say_so(monkeypatch):
    monkeypatch.setattr("core.segmentation.list_weights", lambda *a: ())
    app = ran_well(page("segment", small_study()).run())
    assert "No trained network is installed" in texts(app)
    app = ran_well(page("browse", small_study()).run())
    assert "No trained network is installed" in texts(app)


def test_broken_weights_are_one_sentence(monkeypatch):
    def broken(*_):
        raise WeightsError("The manifest unet/manifest.json cannot be read", got="ValueError")

    monkeypatch.setattr("core.segmentation.list_weights", broken)
    for name in PAGE_NAMES:
        app = ran_well(page(name, small_study()).run())
        if name in NO_NETWORK_PAGES:
            assert not app.error
        else:
            assert "manifest" in app.error[0].value


def run_segmentation() -> AppTest:
    app = page("segment", small_study()).run()
    button(app, "Mark lung and infection").click().run()
    return finish_run(app)


def test_a_run_gives_masks_measurements_and_files(stand_in):
    app = run_segmentation()
    result = opened(app).segmentation
    assert result.masks.lung.shape == (48, 40, 8)
    assert result.masks.lung.any()
    assert "of the lung is infected" in texts(app)
    assert "Masks by stand-in" in texts(app)
    labels = {d.label for d in app.download_button}
    assert labels == {
        "Lung mask (NIfTI)",
        "Infection mask (NIfTI)",
        "Measurements (JSON)",
        "Measurements (CSV)",
    }
    assert "CPU (stand-in)" in texts(app)


def test_masks_of_a_tilted_gantry_are_explained_beside_their_files(stand_in, tmp_path):
    series = dicom_series(chest_hu(), step=(0.0, 1.9, 5.0))
    app = page("segment", open_study(write_dicom(series, tmp_path / "tilted"))).run()
    assert "moved within its plane" not in texts(app)
    button(app, "Mark lung and infection").click().run()
    assert "moved within its plane" in texts(finish_run(app))


def test_a_result_is_in_browse_at_once_with_its_agreement(stand_in):
    done = run_segmentation()
    app = app_at("browse")
    session_of(app).began = True
    session_of(app).opened = opened(done)
    ran_well(app.run())
    shown = texts(app)
    for word in ("Dice", "IoU", "Precision", "Recall", "Prediction", "Truth"):
        assert word in shown


def test_thresholds_take_effect_without_another_run(stand_in):
    app = run_segmentation()
    before = int(opened(app).segmentation.masks.infection.sum())
    assert before > 0
    stand_in.entered.clear()
    slider = next(s for s in app.slider if s.label == "Infection threshold")
    ran_well(slider.set_value(0.9).run())
    assert int(opened(app).segmentation.masks.infection.sum()) == 0
    assert not stand_in.entered.is_set()


def test_a_run_can_be_stopped_and_changes_nothing(stand_in):
    stand_in.may_go_on.clear()
    app = page("segment", small_study()).run()
    ran_well(button(app, "Mark lung and infection").click().run())
    assert stand_in.entered.wait(10)
    before = opened(app)
    session_of(app).network_run.job.stop()
    finish_run(app)
    assert "stopped" in app.warning[0].value
    assert opened(app) is before
    assert before.segmentation is None


def test_weights_that_fail_to_load_are_one_sentence_and_nothing_is_lost(monkeypatch, stand_in):
    def broken(weights_id=None):
        raise WeightsError("weights.npz is damaged", next_step="restore the file")

    monkeypatch.setattr("core.segmentation.load_segmenter", broken)
    app = page("segment", small_study()).run()
    button(app, "Mark lung and infection").click().run()
    before = opened(app)
    finish_run(app)
    assert "damaged" in app.error[0].value
    assert opened(app) is before


def test_another_scale_of_grey_values_drops_the_prediction(stand_in):
    app = page("browse", small_study(grey=True)).run()
    segmenting_result = OpenStudy(study=small_study(grey=True), origin="case", link="small")
    session_of(app).opened = segmenting_result
    from core.segmentation.pipeline import segment_volume

    segmenting_result.segmentation = segment_volume(segmenting_result.study.volume, stand_in)
    ran_well(app.run())
    ran_well(button(app, "The values are HU").click().run())
    assert opened(app).segmentation is None


def test_another_scale_of_grey_values_drops_the_run_under_way(stand_in):
    stand_in.may_go_on.clear()
    started = page("segment", small_study(grey=True)).run()
    ran_well(button(started, "Mark lung and infection").click().run())
    app = page("browse")
    for name in ("opened", "network_run"):
        setattr(session_of(app), name, getattr(session_of(started), name))
    ran_well(app.run())
    job = session_of(app).network_run.job
    assert stand_in.entered.wait(10)
    ran_well(button(app, "The values are HU").click().run())
    assert session_of(app).network_run.job is None
    stand_in.may_go_on.set()
    job.join(30)
    ran_well(app.run())
    assert opened(app).segmentation is None
    assert job.state == "stopped"


# ---------------------------------------------------------------- jobs


class Owner:
    """Stands for a session's study."""


def test_jobs_of_one_queue_wait_for_each_other():
    queue, first_may_end, owner = FairQueue(), threading.Event(), Owner()
    running: list[str] = []

    def first(on_progress, should_cancel):
        running.append("first")
        first_may_end.wait(10)

    def second(on_progress, should_cancel):
        running.append("second")
        return 42

    a = BackgroundJob(first, queue=queue, owner=owner)
    while not running:
        time.sleep(0.01)
    b = BackgroundJob(second, queue=queue, owner=owner)
    time.sleep(0.3)
    assert running == ["first"]
    assert b.state == "waiting"
    first_may_end.set()
    a.join(10)
    b.join(10)
    assert running == ["first", "second"]
    assert b.result == 42


def test_a_waiting_job_can_be_stopped():
    queue, owner = FairQueue(), Owner()
    queue.join()
    job = BackgroundJob(lambda *_: 1, queue=queue, owner=owner)
    job.stop()
    job.join(10)
    assert job.state == "stopped"
    assert job.result is None


def test_a_job_whose_session_is_gone_is_reported_to_stop():
    queue, owner = FairQueue(), Owner()
    seen = threading.Event()

    def work(on_progress, should_cancel):
        while not should_cancel():
            time.sleep(0.01)
        seen.set()

    job = BackgroundJob(work, queue=queue, owner=owner)
    assert not seen.wait(0.1)
    del owner
    assert seen.wait(10)
    job.join(10)


def test_a_bug_in_a_job_stays_loud():
    owner = Owner()

    def work(on_progress, should_cancel):
        raise ZeroDivisionError

    job = BackgroundJob(work, queue=FairQueue(), owner=owner)
    job.join(10)
    assert isinstance(job.bug, ZeroDivisionError)


# ---------------------------------------------------------------- words and files


def test_numbers_in_words():
    assert percent(float("nan")) == "not defined"
    assert percent(0.1234) == "12.3\u2009%"
    assert percent(0.0012) == "0.12\u2009%"
    assert percent(0.0) == "0.0\u2009%"
    assert number_text(float("nan")) == "not defined"
    assert number_text(0.98765) == "0.988"
    assert volume_text(float("nan")) == "not known"
    assert volume_text(12.34) == "12.3\u00a0ml"
    assert volume_text(3210.0) == "3.21\u00a0l"
    assert area_text(1234.0) == "12.3\u00a0cm²"


def test_escaped_text_has_no_markup_left():
    assert escape_markdown("a\n# b") == r"a \# b"
    assert escape_markdown("*x*") == r"\*x\*"


def test_file_names_of_downloads_hold_nothing_odd():
    odd = OpenStudy(
        study=small_study(name="../../é <b>.nii.gz", case_id=""), origin="upload", link="u"
    )
    stem = file_stem(odd)
    assert all(c.isalnum() or c in "._-" for c in stem)
    assert stem.isascii()


def test_measurements_as_csv_have_one_line_each():
    table = list(csv.reader(io.StringIO(values_csv({"a": 1, "b": {"c": None, "d": [2, 3]}}))))
    assert table == [["name", "value"], ["a", "1"], ["b.c", ""], ["b.d.0", "2"], ["b.d.1", "3"]]


def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe():
    figures = {"=name": "=1+1", "a": "-cmd", "b": -1.5, "c": "@x", "d": "+1", "e": "plain -1"}
    table = dict(csv.reader(io.StringIO(values_csv(figures))))
    assert table == {
        "name": "value",
        "'=name": "'=1+1",
        "a": "'-cmd",
        "b": "-1.5",
        "c": "'@x",
        "d": "'+1",
        "e": "plain -1",
    }


def test_progress_of_a_job_stays_between_nothing_and_all():
    job = BackgroundJob(
        lambda on_progress, _: on_progress("x", 5, 4), queue=FairQueue(), owner=segmenting
    )
    job.join(10)
    assert job.fraction == 1.0
