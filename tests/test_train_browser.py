"""A run in headless Chromium: begun from the page, going on without it, found again, stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.training.run_process import stop_run
from core.training.run_status import read_run
from tests.test_browser import Page, serve, wait_for
from tests.training_data import write_training_folder

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, runs: Path) -> Iterator[str]:
    cases = write_training_folder(tmp_path_factory.mktemp("data"))
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUNGLENS_RUNS_FOLDER", str(runs))
        patch.delenv("LUNGLENS_ALLOW_TRAINING", raising=False)
        yield from serve("streamlit_app.py", log, data_folder=cases)


def open_train(server: str, place: Path) -> Page:
    place.mkdir()
    tab = Page(server, place, place / "profile")
    tab.browser.get(f"{server}/train")
    tab.wait_for_text("Start training", seconds=180)
    return tab


def test_a_run_outlives_its_tab_and_shows_curves_and_samples(
    server: str, runs: Path, tmp_path: Path
) -> None:
    first = open_train(server, tmp_path / "first")
    try:
        assert "No run yet" in first.text
        first.settle()
        first.click("Start training")
        first.wait_for_text("Training continues when this tab is closed")
    finally:
        first.browser.quit()
    folder = runs / "run-1"
    try:
        wait_for(lambda: len(read_run(folder).history) >= 1, what="an epoch", seconds=240)
        second = open_train(server, tmp_path / "second")
        try:
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
            second.browser.quit()
    finally:
        if read_run(folder).is_alive:
            stop_run(folder)
            wait_for(lambda: not read_run(folder).is_alive, what="the end", seconds=120)


def test_augmentation_draws_new_slices(server: str, tmp_path: Path) -> None:
    (tmp_path / "tab").mkdir()
    tab = Page(server, tmp_path / "tab", tmp_path / "tab" / "profile")
    try:
        tab.browser.get(f"{server}/augmentation")
        tab.wait_for_text("Seed 1.", seconds=180)
        tab.settle()
        tab.click("New sample")
        tab.wait_for_text("Seed 2.")
    finally:
        tab.browser.quit()
