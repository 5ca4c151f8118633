"""Lobes of a large scan are estimated beside the page: its picture does not wait for them."""

from __future__ import annotations

from threading import Event

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.measuring.lobes import Lobes
from core.ui.scan import browsing
from core.ui.scan import lobes as lobes_of_scan
from core.ui.scan.lobes import NOT_YET, lungs_of
from core.ui.session import OpenStudy
from core.ui.viewer import ViewerScan
from core.volume import BoolArray, Volume
from tests.app_session import app_at, session_of
from tests.studies import small_study


class Estimate:
    """Stands for the network: it answers when it is let."""

    def __init__(self) -> None:
        self.let, self.asked = Event(), 0

    def __call__(self, lung: BoolArray, volume: Volume) -> Lobes:
        self.asked += 1
        assert self.let.wait(30)
        return Lobes(np.asarray(lung, dtype=np.uint8), mean_dice=0.9, weights_id="slow")


@pytest.fixture
def estimate(monkeypatch: pytest.MonkeyPatch) -> Estimate:
    made = Estimate()
    monkeypatch.setattr("core.segmentation.lobes.find_lobes", made)
    monkeypatch.setattr(lobes_of_scan, "LARGE_VOXELS", 0)
    return made


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Lobes | None]:
    """The lobes that the viewer was given, run by run."""
    given: list[Lobes | None] = []
    show = browsing.show_viewer

    def look(scan: ViewerScan, *arguments: object, **others: object) -> None:
        given.append(scan.lobes)
        show(scan, *arguments, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(browsing, "show_viewer", look)
    return given


def browsed() -> AppTest:
    app = app_at("browse")
    session = session_of(app)
    session.began, session.opened = True, OpenStudy(small_study(), origin="case", link="small")
    return app


def test_the_picture_comes_before_the_lobes(estimate: Estimate, shown: list[Lobes | None]) -> None:
    app = browsed().run()
    assert shown == [NOT_YET]
    opened = session_of(app).opened
    assert opened is not None
    job = lungs_of(opened, "Truth").job
    assert job is not None
    app.run()
    assert shown == [NOT_YET, NOT_YET]
    estimate.let.set()
    job.join(30)
    assert not app.run().exception
    found = shown[-1]
    assert found is not None
    assert found.weights_id == "slow"
    assert estimate.asked == 1


def test_lobes_of_a_lung_mask_that_is_gone_are_not_estimated(estimate: Estimate) -> None:
    """The second waits behind the first, and by then the first pair of masks is another."""
    first, second = browsed().run(), browsed().run()
    waiting = session_of(second).opened
    assert waiting is not None
    job = lungs_of(waiting, "Truth").job
    assert job is not None
    truth = waiting.study.truth
    assert truth is not None
    lung = truth.lung
    assert lung is not None
    moved = small_study()
    waiting.study = moved
    assert lungs_of(waiting, "Truth").mask is not lung
    estimate.let.set()
    job.join(30)
    assert job.state == "stopped"
    assert estimate.asked == 1
    assert not first.exception
