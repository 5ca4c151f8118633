"""What several test modules share: the real scans where there are any, and a small chest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import pytest

from tests.scans import chest_hu, small_affine

if TYPE_CHECKING:
    from tests.test_browser import Page

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that drive a browser first: with two tests at a time the long ones must not come last,
    when nothing is left to run beside them."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on a free port; its address."""
    from tests.test_browser import serve

    yield from serve("streamlit_app.py", tmp_path_factory.mktemp("server") / "log.txt")


@pytest.fixture
def page(server: str, tmp_path: Path) -> Iterator[Page]:
    """A browser of its own on the file's `server`, which a file may define anew."""
    from tests.test_browser import Page

    downloads = tmp_path / "downloads"
    downloads.mkdir()
    tab = Page(server, downloads, tmp_path / "profile")
    yield tab
    tab.browser.quit()
