"""Several people at once: turns in the order of asking, memory given back, no run by accident."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.errors import Cancelled
from core.ui import segmenting
from core.ui.jobs import BackgroundJob, FairQueue
from core.ui.session import OpenStudy
from tests.app_session import PARTS_AND_PAGES, app_at, session_of
from tests.studies import StandInInfo, StandInSegmenter, small_study

PEOPLE = 5


class Owner:
    """Stands for a session's study."""


def wait_for(true: Any, seconds: float = 10.0) -> None:
    """Until `true()`; fails where it never comes."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_a_thread_that_cannot_start_leaves_the_queue_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    queue, owner = FairQueue(), Owner()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="new thread"):
            BackgroundJob(lambda *_: 1, queue=queue, owner=owner)
    job = BackgroundJob(lambda *_: 2, queue=queue, owner=owner)
    job.join(10)
    assert (job.state, job.result) == ("done", 2)


class CountingSegmenter(StandInSegmenter):
    """The stand-in network, which keeps count of its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def predict(self, frames: Any, **how: Any) -> Any:
        self.runs += 1
        return super().predict(frames, **how)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingSegmenter]:
    segmenter = CountingSegmenter()
    monkeypatch.setattr("core.segmentation.load_segmenter", lambda weights_id=None: segmenter)
    monkeypatch.setattr("core.segmentation.list_weights", lambda *a: (StandInInfo(),))
    yield segmenter
    segmenter.may_go_on.set()


def app_with(study: Any, page: str = "segment") -> AppTest:
    app = app_at(page)
    session_of(app).began = True
    session_of(app).opened = (
        study if isinstance(study, OpenStudy) else OpenStudy(study=study, origin="demo", link="x")
    )
    app.run()
    assert not app.exception
    return app


def collect() -> None:
    """What ended sessions have left is collected, once somebody else has had a page drawn:
    Streamlit keeps the variables of the page it has drawn last. No demo study is opened for it."""
    app = app_at("report")
    session_of(app).began = True
    assert not app.run().exception
    gc.collect()


def press_run(app: AppTest) -> None:
    next(b for b in app.button if b.label == "Mark lung and infection").click().run()


def run_network(app: AppTest) -> None:
    press_run(app)
    if session_of(app).network_run.job is not None:  # else it was done before the page was drawn
        session_of(app).network_run.job.join(30)
        app.run()
    assert not app.exception
    assert session_of(app).opened.segmentation is not None


# ------------------------------------------------------------------------------- the line


def test_five_people_are_served_in_the_order_they_came() -> None:
    queue, served = FairQueue(), []
    gates = [threading.Event() for _ in range(PEOPLE)]
    owners = [Owner() for _ in range(PEOPLE)]

    def work_of(number: int) -> Any:
        def work(on_progress: Any, should_cancel: Any) -> None:
            served.append(number)
            gates[number].wait(10)

        return work

    jobs = [
        BackgroundJob(work_of(number), queue=queue, owner=owner)
        for number, owner in enumerate(owners)
    ]
    wait_for(lambda: jobs[0].state == "running")
    shown = [job.stage for job in jobs[1:]]
    assert shown == [
        "waiting, 1 person before you",
        "waiting, 2 people before you",
        "waiting, 3 people before you",
        "waiting, 4 people before you",
    ]
    jobs[2].stop()  # who gives up lets those behind move up
    wait_for(lambda: jobs[2].finished)
    wait_for(lambda: jobs[4].stage == "waiting, 3 people before you")
    assert jobs[1].stage == "waiting, 1 person before you"
    for number in (0, 1, 3, 4):
        wait_for(lambda number=number: jobs[number].state == "running")
        assert sum(job.state == "running" for job in jobs) == 1
        gates[number].set()
    for job in jobs:
        job.join(10)
    assert served == [0, 1, 3, 4]
    assert jobs[2].state == "stopped"


def test_a_failed_or_stopped_run_lets_the_next_one_in() -> None:
    queue, owner = FairQueue(), Owner()

    def fails(on_progress: Any, should_cancel: Any) -> None:
        raise ZeroDivisionError

    def stops(on_progress: Any, should_cancel: Any) -> None:
        raise Cancelled("counting")

    jobs = [
        BackgroundJob(work, queue=queue, owner=owner) for work in (fails, stops, lambda *_: "done")
    ]
    for job in jobs:
        job.join(10)
    assert [job.state for job in jobs] == ["failed", "stopped", "done"]
    assert jobs[2].result == "done"


def test_a_turn_that_does_not_come_is_given_up() -> None:
    queue = FairQueue()
    first = queue.join()
    with queue.turn(timeout=0.05) as is_ours:
        assert not is_ours
    behind = queue.join()
    queue.leave(first)
    assert queue.ahead(behind) == 0
    queue.leave(behind)
    with queue.turn(timeout=0) as is_ours:
        assert is_ours


def test_the_page_shows_the_place_in_the_queue(network: CountingSegmenter) -> None:
    network.may_go_on.clear()
    apps = [app_with(small_study()) for _ in range(3)]
    for app in apps:
        press_run(app)
    wait_for(network.entered.is_set)
    apps[2].run()
    shown = session_of(apps[2]).network_run.job.stage
    assert shown == "waiting, 2 people before you"
    bars = [bar.proto.text.replace("\\", "") for bar in apps[2].get("progress")]
    assert any(shown in text for text in bars), bars
    network.may_go_on.set()
    for app in apps:
        session_of(app).network_run.job.join(30)
    assert network.runs == 3


# -------------------------------------------------------------------------------- memory


def test_scans_of_ended_sessions_are_given_back(network: CountingSegmenter) -> None:
    scans, masks = [], []
    for number in range(3):
        study = small_study(name=f"person{number}.nii.gz")
        scans.append(weakref.ref(study.volume.array))
        app = app_with(study)
        run_network(app)
        app_with(session_of(app).opened, "browse")
        masks.append(weakref.ref(session_of(app).opened.segmentation.masks.lung))
        del study, app
        collect()
        # Not only at the end: there is never more than one scan at a time.
        assert [scan() for scan in scans] == [None] * (number + 1)
    assert [mask() for mask in masks] == [None] * len(masks)


def test_a_session_that_ends_while_it_waits_leaves_the_queue(network: CountingSegmenter) -> None:
    network.may_go_on.clear()
    first, second = app_with(small_study()), app_with(small_study())
    for app in (first, second):
        press_run(app)
    wait_for(network.entered.is_set)
    waiting = session_of(second).network_run.job
    del second, app
    collect()
    wait_for(lambda: waiting.finished)
    assert waiting.state == "stopped"
    network.may_go_on.set()
    session_of(first).network_run.job.join(30)
    assert network.runs == 1


# ------------------------------------------------------------------------------ accidents


def test_nothing_but_the_button_runs_the_network(network: CountingSegmenter) -> None:
    app = app_with(small_study())
    assert network.runs == 0
    run_network(app)
    assert network.runs == 1
    for _ in range(3):
        app.run()
    for value in (0.2, 0.7):
        for slider in app.slider:
            slider.set_value(value)
        app.run()
        assert not app.exception
    current = session_of(app).opened
    before = np.count_nonzero(current.segmentation.masks.lung)
    assert before > 0
    for name in PARTS_AND_PAGES:
        already = network.runs
        other = app_with(current, name)
        for _ in range(2):
            other.run()
            assert not other.exception, name
        # Enhance asks for one slice on opening; drawn again, it does not ask again.
        assert network.runs == already + (name == "enhance"), name
    assert np.count_nonzero(current.segmentation.masks.lung) == before


@pytest.mark.parametrize(
    "name",
    [name for name in PARTS_AND_PAGES if name not in ("enhance", "augmentation")],
)
def test_no_setting_of_a_page_runs_the_network(
    name: str, network: CountingSegmenter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Enhance is not among them: asking the network about one slice is what it is for.
    Augmentation draws with Keras at every change, which takes long; it is counted above."""
    monkeypatch.setenv("LUNGLENS_RUNS_FOLDER", str(tmp_path))
    monkeypatch.setenv("LUNGLENS_ALLOW_TRAINING", "1")
    app = app_with(small_study())
    run_network(app)
    app = app_with(session_of(app).opened, name)
    for kind in ("slider", "toggle", "selectbox"):
        # The first and the last: a page of twenty sliders treats those between alike.
        for number in (0, -1):
            if widgets := app.get(kind):
                change(widgets[number])
                app.run()
                assert not app.exception, (name, kind, number)
    assert network.runs == 1


def change(widget: Any) -> None:
    """Another value than it has."""
    if widget.type == "slider":
        widget.set_value(widget.max if widget.value == widget.min else widget.min)
    elif widget.type == "toggle":
        widget.set_value(not widget.value)
    else:
        widget.select_index(len(widget.options) - 1)


def test_the_network_is_loaded_once_for_all_who_ask_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = []

    def load(info: Any, engine: str) -> StandInSegmenter:
        time.sleep(0.1)
        segmenter = StandInSegmenter()
        segmenter.warm_up = lambda batch_size: None  # type: ignore[attr-defined]
        loaded.append(segmenter)
        return segmenter

    monkeypatch.setattr("core.segmentation.segmenter.load_engine", load)
    monkeypatch.setattr("core.segmentation.segmenter._segmenters", {})
    server = segmenting._server()
    given: list[Any] = []
    people = [
        threading.Thread(target=lambda: given.append(segmenting._load(None, server)))
        for _ in range(PEOPLE)
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(loaded) == 1
    assert given == loaded * PEOPLE
