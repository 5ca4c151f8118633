"""A run in headless Chromium: begun from the page, going on without it, found again, stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.training.run_process import stop_run
from core.training.run_status import read_run
from tests.browser import Chromium, Page, Server, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def server(data_server: Server) -> Server:
    return data_server


@contextmanager
def train_page(chromium: Chromium, server: Server, downloads: Path) -> Iterator[Page]:
    """Train in a tab of its own, which is closed in the end."""
    tab = chromium.open_tab(server, downloads)
    try:
        tab.go("/train")
        tab.wait_for_text("Start training", seconds=180)
        yield tab
    finally:
        chromium.close_tab(tab)


def test_a_run_outlives_its_tab_and_shows_curves_and_samples(
    chromium: Chromium, server: Server, runs_folder: Path, tmp_path: Path
) -> None:
    with train_page(chromium, server, tmp_path) as first:
        assert "No run yet" in first.text
        first.settle()
        first.click("Start training")
        first.wait_for_text("Training continues when this tab is closed")
    folder = runs_folder / "run-1"
    try:
        wait_for(lambda: len(read_run(folder).history) >= 1, what="an epoch", seconds=240)
        with train_page(chromium, server, tmp_path) as second:
            second.wait_for_text("Sample slices")
            wait_for(
                lambda: second.js(
                    "return [...document.querySelectorAll('.scatterlayer .js-line')]"
                    ".some((line) => (line.getAttribute('d') || '').includes('L'))"
                ),
                what="a curve",
                seconds=240,
            )
            pictures = second.js(
                "return [...document.querySelectorAll('[data-testid=stImage] img')]"
                ".filter((i) => i.naturalWidth > 0).length"
            )
            assert pictures == 4
            if second.buttons("Stop"):
                second.click("Stop")
            wait_for(lambda: not read_run(folder).is_alive, what="the end", seconds=120)
            wait_for(lambda: {"Stopped", "Finished"} & set(second.text.split()), what="its state")
    finally:
        if read_run(folder).is_alive:
            stop_run(folder)
            wait_for(lambda: not read_run(folder).is_alive, what="the end", seconds=120)


def test_augmentation_draws_new_slices(page: Page) -> None:
    page.go("/train?part=augmentation")
    page.wait_for_text("Seed 1.", seconds=180)
    page.settle()
    page.click("New sample")
    page.wait_for_text("Seed 2.")
