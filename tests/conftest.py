"""What several test modules share: the real scans where there are any, and a small chest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import pytest

from tests.eager import eager_keras, shrink_encoder
from tests.scans import chest_hu, small_affine
from tests.shared import share_in

if TYPE_CHECKING:
    from tests.browser import Chromium, Page, Server

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests first: `--dist worksteal` then gives them to one worker, which needs one
    browser and one server for all of them, and others take from its end when they have done."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


@pytest.fixture(scope="session", autouse=True)
def _shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Workers of one run lie below one folder; demo studies and training runs are shared there."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    share_in(folder / "shared")


@pytest.fixture(scope="session", autouse=True)
def _keras_left_alone() -> None:
    """As in the app's server: else every page of a process that has loaded Keras clears it, with a
    collection of all garbage."""
    from core.ui.streamlit_internals import leave_keras_alone

    leave_keras_alone()


@pytest.fixture(scope="session", autouse=True)
def _components_found_once() -> Iterator[None]:
    """Every `AppTest` starts Streamlit anew, which then looks through all installed packages for
    components: most of what a short test of a page takes. They stay the same during a run."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        scan = manifest_scanner.scan_component_manifests
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(scan))
        yield


@pytest.fixture(scope="session", autouse=True)
def _small_demo() -> Iterator[None]:
    """Pages that open the demo study get a small one that is made once for all tests; the app's own
    of 512×512×96 voxels takes half a minute. A test may still put another in its place."""
    from tests.studies import demo_study

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.phantom.kept_demo_study", lambda **_: demo_study())
        yield


@pytest.fixture(autouse=True)
def _no_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test keeps corrections in the folder of whoever runs it."""
    monkeypatch.setenv("LUNGLENS_PROJECTS_FOLDER", "off")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real scans; they are not part of the project."""
    named = os.environ.get("LUNGLENS_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real scans: set LUNGLENS_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def small_chest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `.nii.gz` of 48×40×8 voxels in HU, int16, 1.5×1.5×5 mm, axes L P S."""
    path = tmp_path_factory.mktemp("chest") / "small_chest.nii.gz"
    nib.save(nib.Nifti1Image(chest_hu(), small_affine()), path)
    return path


@pytest.fixture
def eager() -> Iterator[None]:
    """Keras without graphs, for tests that are not about the graph."""
    with eager_keras():
        yield


@pytest.fixture
def small_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `tests.eager.shrink_encoder`."""
    shrink_encoder(monkeypatch)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """The browser of this process."""
    from tests.browser import Chromium

    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.driver.quit()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app without a data folder, with a small demo study."""
    from tests.browser import serve

    yield from serve("streamlit_app.py", tmp_path_factory.mktemp("server") / "log.txt")


@pytest.fixture(scope="session")
def correct_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The viewer alone, with masks to correct."""
    from tests.browser import serve

    yield from serve("tests/correct_page.py", tmp_path_factory.mktemp("server") / "log.txt")


@pytest.fixture(scope="session")
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `data_server` keeps its training runs."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def data_server(tmp_path_factory: pytest.TempPathFactory, runs_folder: Path) -> Iterator[Server]:
    """The app with a data folder: cases to train on, and the result of a batch of three scans."""
    from core.output.saving import save_volume
    from tests.browser import serve
    from tests.studies import small_volume
    from tests.test_cohort_page import failed, record, write_batch
    from tests.training_data import write_training_folder

    data = write_training_folder(tmp_path_factory.mktemp("data"))
    records = [record(1, share=0.1), record(2, share=0.3), failed(3)]
    write_batch(data / "results", records, scans=data)
    save_volume(small_volume(), data / f"{1:012x}.nii.gz")
    settings = {"LUNGLENS_DATA_FOLDER": str(data), "LUNGLENS_RUNS_FOLDER": str(runs_folder)}
    log = tmp_path_factory.mktemp("server") / "log.txt"
    yield from serve("streamlit_app.py", log, settings)


@pytest.fixture
def page(server: Server, chromium: Chromium, tmp_path: Path) -> Iterator[Page]:
    """A new tab on `server`, which a file may define anew."""
    tab = chromium.open_tab(server, tmp_path / "downloads")
    yield tab
    chromium.close_tab(tab)


@pytest.fixture(scope="module")
def tab(
    server: Server, chromium: Chromium, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """One tab on `server` for all tests of a file."""
    page = chromium.open_tab(server, tmp_path_factory.mktemp("downloads"))
    yield page
    chromium.close_tab(page)
