"""Runs as processes: started, recognised, stopped, resumed; and what their files hold."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.cli import main
from core.config import RangeTestConfig, to_json_dict
from core.drawing.overlays import draw_outlines
from core.errors import Cancelled, ConfigError, DatasetError
from core.measuring.quality.exclusions import Exclusion
from core.training import run_process
from core.training.run_process import start_run, stop_run
from core.training.run_report import RunReport
from core.training.run_request import (
    RANGE_TEST_NAME,
    RunRequest,
    check_run_name,
    read_request,
    run_names,
    write_request,
)
from core.training.run_samples import (
    SampleSlices,
    read_prediction,
    read_slices,
    sampled_epochs,
    save_prediction,
    save_slices,
)
from core.training.run_status import busy_run, read_run
from core.training.runs import HISTORY_COLUMNS
from tests.training_data import TINY, UNCHANGED
from tests.training_runs import training_folder

LONG = replace(TINY, epochs=200, augment=UNCHANGED)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


def make_run(root: Path, name: str, *, epochs_done: int = 0, epochs: int = 2) -> Path:
    """A run folder as training leaves it, without its networks."""
    folder = root / name
    folder.mkdir()
    write_request(folder, RunRequest(data="demo", config=replace(TINY, epochs=epochs)))
    if epochs_done:
        rows = [
            ",".join(str(epoch if name == "epoch" else epoch / 10) for name in HISTORY_COLUMNS)
            for epoch in range(1, epochs_done + 1)
        ]
        text = "\n".join([",".join(HISTORY_COLUMNS), *rows, ""])
        (folder / "history.csv").write_text(text, encoding="utf-8")
    return folder


def wait_until(condition: Callable[[], bool], *, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "a\\b", ".hidden", "a b", "x" * 41, "a\n", "-x", RANGE_TEST_NAME]
)
def test_names_that_are_not_plain_folders_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be used for a run"):
        check_run_name(name)


def test_a_request_comes_back_as_it_was(root: Path) -> None:
    folder = root / "first"
    folder.mkdir()
    request = RunRequest(
        data="/some/where",
        config=LONG,
        split={"train": {"case": ["a"]}, "validation": {"case": ["b"]}},
        excluded=(Exclusion("a", (0, 3)),),
    )
    write_request(folder, request)
    assert read_request(folder) == request
    (folder / "run.json").write_text("{}")
    write_request(folder, replace(request, data="/elsewhere"))
    assert read_request(folder).data == "/some/where"


def test_states_follow_from_the_files(root: Path) -> None:
    begun = make_run(root, "begun")
    assert read_run(begun).state == "interrupted"
    assert read_run(make_run(root, "whole", epochs_done=2)).state == "finished"
    part = make_run(root, "part", epochs_done=1)
    assert read_run(part).state == "interrupted"
    (part / "progress.json").write_text(json.dumps({"outcome": "stopped"}))
    assert read_run(part).state == "stopped"
    (part / "progress.json").write_text(json.dumps({"outcome": "finished"}))  # --stop-after
    assert read_run(part).state == "stopped"
    (part / "progress.json").write_text(json.dumps({"outcome": "failed", "message": "No room."}))
    assert (read_run(part).state, read_run(part).message) == ("failed", "No room.")
    (part / "history.csv").write_text("epoch,loss\n1")
    assert read_run(part).state == "damaged"
    assert "history" in read_run(part).message
    (begun / "request.json").write_text("[")
    assert read_run(begun).state == "damaged"


def test_time_is_added_up_over_resuming_and_publishing(root: Path) -> None:
    folder = make_run(root, "whole", epochs_done=2)
    worked = {"before": 5.0, "started": 100.0, "now": 160.0, "outcome": "finished"}
    (folder / "progress.json").write_text(json.dumps(worked))
    assert read_run(folder).seconds == 65.0
    with RunReport(folder, publishes=True):
        assert 65.0 <= read_run(folder).seconds < 125.0
    assert 65.0 <= read_run(folder).seconds < 125.0
    (folder / "progress.json").write_text(json.dumps({"before": "x", "started": 1e300, "now": -1}))
    assert read_run(folder).seconds == 0.0


def test_runs_are_listed_and_nothing_else_is(root: Path) -> None:
    make_run(root, "one")
    make_run(root, RANGE_TEST_NAME)
    (root / "demo-patients").mkdir()
    (root / "linked").symlink_to(root / "one")
    assert run_names(root) == ("one",)
    assert run_names(root / "absent") == ()


def test_a_report_shows_that_it_is_running_and_how_it_ended(root: Path) -> None:
    folder = make_run(root, "one")
    with RunReport(folder) as report:
        report("reading cases", 1, 4)
        run = read_run(folder)
        assert (run.state, run.stage, run.done, run.total) == ("running", "reading cases", 1, 4)
        assert busy_run(root) == "one"
        with pytest.raises(DatasetError, match="already being trained"), RunReport(folder):
            pass
        stop_run(folder)
        assert read_run(folder).state == "stopping"
        with pytest.raises(Cancelled):
            report("reading cases", 2, 4)
        report.figures = {"suggestion": 0.5}
    assert busy_run(root) is None
    assert read_run(folder).figures == {"suggestion": 0.5}
    assert not (folder / "stop").exists()
    with pytest.raises(ValueError, match="odd"), RunReport(folder):
        raise ValueError("odd")
    run = read_run(folder)
    assert (run.state, "log.txt" in run.message, "odd" in run.message) == ("failed", True, False)


def test_a_process_that_is_done_but_does_not_end_is_ended(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_process, "_SECONDS_TO_END", 0.2)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    run_process._reap(make_run(root, "one"), process)
    assert process.poll() not in (None, 0)


def test_a_killed_process_is_recognised(root: Path) -> None:
    folder = make_run(root, "one")
    code = (
        "import sys, time; from pathlib import Path\n"
        "from core.training.run_report import RunReport\n"
        "with RunReport(Path(sys.argv[1])): time.sleep(100)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    wait_until(lambda: read_run(folder).state == "running")
    process.kill()
    process.wait()
    assert read_run(folder).state == "interrupted"


class NotStarted(Exception):
    pass


@pytest.fixture
def run_here(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """As `start_run`, with its command carried out in this process; the exit code."""

    def run(name: str, request: RunRequest, **how: bool) -> int:
        commands: list[list[str]] = []

        def spawn(command: list[str], **_: object) -> None:
            commands.append(command)
            raise NotStarted

        with monkeypatch.context() as patch:
            patch.setattr(run_process.subprocess, "Popen", spawn)
            with pytest.raises(NotStarted):
                start_run(root, name, request, **how)
        (command,) = commands
        assert command[:3] == [sys.executable, "-m", "core"]
        return main(command[3:])

    return run


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("eager")
def test_a_run_is_stopped_and_resumed(run_here: Callable[..., int], root: Path) -> None:
    """Started in a process of its own; resumed by the same command in this one."""
    folder, request = root / "one", RunRequest(data=str(training_folder()), config=LONG)
    start_run(root, "one", request)
    try:
        with pytest.raises(DatasetError, match="in progress"):
            start_run(root, "two", request)
        assert run_names(root) == ("one",)
        wait_until(lambda: len(read_run(folder).history) >= 1)
    finally:
        stop_run(folder)
    wait_until(lambda: not read_run(folder).is_alive)
    stopped = read_run(folder)
    assert stopped.state == "stopped"
    assert (folder / "log.txt").read_text(errors="replace").count("Traceback") == 0
    done = len(stopped.history)
    assert sampled_epochs(folder) == tuple(range(1, done + 1))
    stopping = threading.Thread(target=stop_after_epoch, args=(folder, done + 1), daemon=True)
    stopping.start()
    assert run_here("one", read_request(folder)) != 0
    stopping.join()
    resumed = read_run(folder)
    assert resumed.state == "stopped"
    assert len(resumed.history) > done
    assert list(resumed.history[:done]) == list(stopped.history)


def stop_after_epoch(folder: Path, epoch: int) -> None:
    wait_until(lambda: len(read_run(folder).history) >= epoch)
    stop_run(folder)


def test_what_the_trainer_refuses_is_reported(
    run_here: Callable[..., int], root: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run_here("one", RunRequest(data=str(empty), config=TINY)) == 1
    run = read_run(root / "one")
    assert not run.is_alive
    assert run.state == "failed"
    assert "case" in run.message
    assert "Traceback" not in run.message


class KnownLosses:
    """Stands for a network: its loss falls from 2 to 1 at a rate of 1e-3."""

    def __init__(self, *_: object) -> None:
        self.optimizer = SimpleNamespace(learning_rate=0.0)

    def reset_metrics(self) -> None: ...

    def train_on_batch(self, *_: object, return_dict: bool) -> dict[str, float]:
        position = np.log10(self.optimizer.learning_rate / 1e-3)
        return {"loss": 1.5 - 0.5 * float(np.tanh(3 * position))}


def test_a_range_test_writes_its_losses_and_its_suggestion(
    run_here: Callable[..., int], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a real network it is run in `test_lr_range`."""
    monkeypatch.setattr("core.training.lr_range.build_compiled", KnownLosses)
    config = replace(TINY, augment=UNCHANGED)
    request = RunRequest(data=str(training_folder()), config=config)
    assert run_here("", request, find_learning_rate=True) == 0
    folder = root / RANGE_TEST_NAME
    run = read_run(folder)
    assert (run.state, run.message) == ("finished", "")
    assert set(run.figures) == {"suggestion"}
    assert 1e-3 <= run.figures["suggestion"] <= 5e-3  # the running mean lags
    rows = (folder / "learning_rates.csv").read_text().splitlines()
    assert rows[0] == "learning_rate,loss,smoothed_loss"
    assert float(rows[1].split(",")[0]) == pytest.approx(1e-6)
    assert len(rows) == 1 + RangeTestConfig().batches
    assert run_names(root) == ()


def test_samples_come_back(root: Path) -> None:
    rng = np.random.default_rng(3)
    truth = rng.random((2, 16, 24, 2)) > 0.5
    images = rng.integers(0, 256, (2, 16, 24), dtype=np.uint8)
    assert read_slices(root) is None
    save_slices(root, SampleSlices(("a, slice 1", "b, slice 7"), images, truth))
    save_prediction(root, 2, ~truth)
    save_prediction(root, 10, truth)
    found = read_slices(root)
    assert found is not None
    assert found.names == ("a, slice 1", "b, slice 7")
    np.testing.assert_array_equal(found.images, images)
    assert sampled_epochs(root) == (2, 10)
    np.testing.assert_array_equal(read_prediction(root, 2), ~truth)
    (root / "samples" / "epoch-00010.npz").write_bytes(b"no archive")
    with pytest.raises(DatasetError, match="sample"):
        read_prediction(root, 10)


def test_outlines_are_the_inner_edge_of_a_mask() -> None:
    mask = np.zeros((9, 9, 1), dtype=bool)
    mask[2:7, 2:7] = True
    mask[0:2, 8] = True  # on the picture's edge
    grey = np.full((9, 9), 40, dtype=np.uint8)
    picture = draw_outlines(grey, mask, ("#FF8001",))
    is_line = (picture == (255, 128, 1)).all(axis=-1)
    expected = mask[..., 0].copy()
    expected[3:6, 3:6] = False
    np.testing.assert_array_equal(is_line, expected)
    assert (picture[~is_line] == 40).all()
    assert draw_outlines(grey, mask, ("#FF8001",), enlarge=3).shape == (27, 27, 3)


def test_the_config_of_a_request_is_one_that_the_command_line_reads(root: Path) -> None:
    folder = make_run(root, "one")
    assert json.loads((folder / "request.json").read_text())["config"] == to_json_dict(TINY)
