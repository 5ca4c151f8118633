"""Batches by real processes: resumed, broken scans, killed workers, killed parents, Dask."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from core.batch import BatchPaths, BatchSummary, find_scans, run_batch
from core.batch.job import MOST_CRASHES, BatchJob, ScanTask, fingerprint
from core.batch.records import note_attempt
from core.batch.tables import BASE_COLUMNS, biomarker_columns, columns
from core.batch.work import WorkerUnavailable, prepare_worker, work_on_scan
from core.cli import main
from core.config import BatchConfig, SegmentConfig
from core.errors import Cancelled, ConfigError, LungLensError, SaveError
from core.loading import open_study
from core.loading.masks import load_mask
from core.measuring.biomarkers import compute_biomarkers
from core.output.saving import save_mask, save_volume
from core.segmentation.weights import list_weights
from core.system.records import json_text, write_text
from core.volume import MaskPair, Study
from tests.scans import dicom_series, write_dicom
from tests.studies import demo_study

pytestmark = pytest.mark.skipif(not list_weights(), reason="no trained weights are installed")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def chest() -> Study:
    return demo_study((128, 128, 8))


@pytest.fixture(scope="module")
def few_slices() -> Study:
    """For tests that are about records and processes, not about masks."""
    return demo_study((64, 64, 4))


def copies(chest: Study, folder: Path, count: int) -> Path:
    """A folder with the same small scan several times."""
    content = save_volume(chest.volume, folder / "one.nii.gz").read_bytes()
    (folder / "one.nii.gz").unlink()
    for number in range(count):
        (folder / f"scan{number}.nii.gz").write_bytes(content)
    return folder


def events(output: Path) -> dict[str, list[str]]:
    """What the logs of attempts say: id → begun, done, failed in order."""
    return {
        path.parent.name: [json.loads(line)["event"] for line in path.read_text().splitlines()]
        for path in output.glob("*/attempts.jsonl")
    }


def rows(output: Path, name: str = "cohort.csv") -> list[dict[str, str]]:
    return list(csv.DictReader((output / name).read_text().splitlines()))


def busy_attempts(output: Path) -> dict[str, int]:
    """The scans being worked on at this moment, and by which process."""
    found = {}
    for path in output.glob("*/attempts.jsonl"):
        lines = path.read_text().splitlines()
        last = json.loads(lines[-1]) if lines else {}
        if last.get("event") == "begun":
            found[path.parent.name] = int(last["pid"])
    return found


class Killer(threading.Thread):
    """Kills processes that work on a scan, as the system does that runs out of memory."""

    def __init__(self, output: Path, *, kills: int, only: str | None = None) -> None:
        super().__init__(daemon=True)
        self.output, self.kills, self.only = output, kills, only
        self.victims: list[str] = []
        self._ended = threading.Event()

    def __enter__(self) -> Killer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(10)

    def run(self) -> None:
        killed: set[int] = set()
        while len(self.victims) < self.kills and not self._ended.is_set():
            for scan_id, pid in busy_attempts(self.output).items():
                if pid not in killed and self.only in (None, scan_id):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                    time.sleep(0.05)
                    if events(self.output)[scan_id][-1] == "begun":
                        self.victims.append(scan_id)
                    break
            time.sleep(0.005)


def test_every_kind_of_scan_gets_masks_measurements_and_a_row(
    chest: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = tmp_path / "scans", tmp_path / "out"
    assert chest.truth is not None
    assert chest.truth.lung is not None
    assert chest.truth.infection is not None
    save_volume(chest.volume, folder / "set" / "ct_scans" / "case.nii.gz")
    save_mask(chest.truth.lung, chest.volume, folder / "set" / "lung_mask" / "case.nii.gz")
    save_mask(chest.truth.infection, chest.volume, folder / "set" / "infection_mask/case.nii.gz")
    write_dicom(dicom_series(chest.volume.array, pixel_mm=(2.9, 2.9)), folder / "Secret^Name")
    cut = (folder / "set" / "ct_scans" / "case.nii.gz").read_bytes()[:5000]
    (folder / "=cut.nii.gz").write_bytes(cut)
    assert main(["batch", str(folder), "-o", str(output), "--json", "--workers", "2"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["found"], printed["done"], printed["failed"]) == (3, 2, 1)
    table = {row["kind"]: row for row in rows(output)}
    assert tuple(rows(output)[0]) == columns()
    assert table["nifti"]["status"] == "failed"
    assert table["nifti"]["name"] == "'=cut"  # no formula
    assert "cut short" in table["nifti"]["reason"]
    (failure,) = rows(output, "failures.csv")
    assert failure["reason"] == table["nifti"]["reason"]
    assert failure["reason"].lstrip("'") == printed["failures"][0]["reason"]
    case, dicom = table["case"], table["dicom"]
    assert case["name"] == "case"
    assert dicom["name"] == "DICOM series, 8 slices"
    assert "Secret" not in "".join(
        path.read_text() for path in output.rglob("*.[cj]s[vo]*") if path.name != "paths.json"
    )
    # The row says what the saved masks say, read back and measured anew.
    folder_of_case = output / case["scan_id"]
    study = open_study(folder / "set" / "ct_scans" / "case.nii.gz")
    lung, infection = (
        load_mask(folder_of_case / f"{name}_mask.nii.gz", study.volume)
        for name in ("lung", "infection")
    )
    measured = compute_biomarkers(study.volume, MaskPair(lung, infection))
    assert float(case["infected_share"]) == pytest.approx(
        measured.measurement("infected_share").value, abs=1e-5
    )
    assert float(case["lung_volume_ml"]) == pytest.approx(
        measured.measurement("lung_volume_ml").value, abs=1e-4
    )
    hit = np.count_nonzero(lung & chest.truth.lung)
    dice = 2 * hit / (np.count_nonzero(lung) + np.count_nonzero(chest.truth.lung))
    assert float(case["lung_dice"]) == pytest.approx(dice, abs=1e-5)
    assert dicom["lung_dice"] == ""
    assert int(case["key_slice"]) == int(np.argmax(infection.sum(axis=(0, 1)))) + 1
    original = nib.load(folder / "set" / "ct_scans" / "case.nii.gz")
    saved = nib.load(folder_of_case / "lung_mask.nii.gz")
    np.testing.assert_allclose(saved.affine, original.affine, atol=1e-5)
    picture = np.asarray(Image.open(folder_of_case / "thumbnail.png"))
    assert picture.shape == (224, 224, 3)
    orange = (picture == (0xE6, 0x9F, 0x00)).all(axis=2)
    assert 20 < np.count_nonzero(orange) < 5000
    record = json.loads((output / "batch.json").read_text())
    assert [one["key"] for one in record["definitions"]] == list(columns()[len(BASE_COLUMNS) :])
    assert str(tmp_path) not in json.dumps(record)


def test_columns_are_those_of_every_scan(chest: Study) -> None:
    for volume in (chest.volume, replace(chest.volume, spacing_nominal=True)):
        figures = compute_biomarkers(volume, chest.truth or MaskPair(None, None)).measurements
        assert [one.key for one in figures] == [one.key for one in biomarker_columns()]
        assert [one.label for one in figures] == [one.label for one in biomarker_columns()]


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same work without the start of worker processes, which takes seconds each."""

    def run(job: BatchJob, tasks: list[ScanTask], *, on_ended: Any, **_: object) -> int:
        for task in tasks:
            work_on_scan(job, task)
            on_ended(task)
        return 0

    monkeypatch.setattr("core.batch.run.run_on_processes", run)


@pytest.mark.usefixtures("in_this_process")
def test_a_second_run_does_what_is_new_or_changed(chest: Study, tmp_path: Path) -> None:
    folder, output = copies(chest, tmp_path / "scans", 2), tmp_path / "out"
    (folder / "cut.nii.gz").write_bytes((folder / "scan0.nii.gz").read_bytes()[:5000])
    first = run_batch(folder, output)
    assert (first.found, first.done, first.kept, len(first.failures)) == (3, 2, 0, 1)
    assert run_batch(folder, output).kept == 2
    assert sorted(map(tuple, events(output).values())) == [("begun", "done")] * 2 + [
        ("begun", "failed")
    ]
    # Another threshold is another question; one file changed is one scan.
    segment = SegmentConfig()
    other = replace(segment, postprocess=replace(segment.postprocess, infection_threshold=0.9))
    before = {row["name"]: row["infected_share"] for row in rows(output)}
    again = run_batch(folder, output, config=BatchConfig(segment=other))
    assert (again.done, again.kept) == (2, 0)
    after = {row["name"]: row["infected_share"] for row in rows(output)}
    assert float(after["scan0"]) < float(before["scan0"])
    (folder / "scan1.nii.gz").touch()
    (folder / "cut.nii.gz").write_bytes((folder / "scan0.nii.gz").read_bytes())
    os.utime(folder / "cut.nii.gz", (1, 1))
    mended = run_batch(folder, output, config=BatchConfig(segment=other))
    assert (mended.done, mended.kept, len(mended.failures)) == (3, 1, 0)


@pytest.mark.usefixtures("in_this_process")
def test_grey_scans_take_the_window_that_was_given(chest: Study, tmp_path: Path) -> None:
    folder, output = tmp_path / "scans", tmp_path / "out"
    folder.mkdir()
    # From -1 to 1, as a network's input: without a window it cannot be opened.
    grey = (np.clip(chest.volume.array, -1000, 400) + 1000) / 700 - 1
    image = nib.Nifti1Image(grey.astype(np.float32), chest.volume.affine)
    nib.save(image, folder / "grey.nii.gz")
    refused = run_batch(folder, output)
    assert (refused.done, len(refused.failures)) == (0, 1)
    config = BatchConfig(window=(-1000.0, 400.0))
    accepted = run_batch(folder, output, config=config)
    assert (accepted.done, accepted.kept, len(accepted.failures)) == (1, 0, 0)
    assert run_batch(folder, output, config=config).kept == 1
    # Another window is another question.
    assert run_batch(folder, output, config=BatchConfig(window=(-1350.0, 150.0))).kept == 0
    record = json.loads((output / "batch.json").read_text())
    assert record["settings"]["window"] == [-1350.0, 150.0]


@pytest.mark.usefixtures("in_this_process")
def test_masks_of_a_tilted_gantry_are_explained(chest: Study, tmp_path: Path) -> None:
    tilted = dicom_series(chest.volume.array, pixel_mm=(2.9, 2.9), step=(0.0, 1.9, 5.0))
    write_dicom(tilted, tmp_path / "scans" / "tilted")
    summary = run_batch(tmp_path / "scans", tmp_path / "out")
    assert summary.done == 1
    (row,) = rows(tmp_path / "out")
    record = json.loads((tmp_path / "out" / row["scan_id"] / "result.json").read_text())
    assert "each slice is moved within its plane" in json.dumps(record)


def test_a_window_upside_down_is_refused_before_any_scan() -> None:
    with pytest.raises(ConfigError, match="window of the grey values cannot be used"):
        BatchConfig(window=(400.0, -1000.0))


@pytest.mark.usefixtures("in_this_process")
def test_a_failed_scan_is_tried_again_only_when_asked(chest: Study, tmp_path: Path) -> None:
    folder, output = tmp_path / "scans", tmp_path / "out"
    folder.mkdir()
    (folder / "cut.nii.gz").write_bytes(b"\x1f\x8b nothing")
    assert len(run_batch(folder, output).failures) == 1
    assert len(run_batch(folder, output).failures) == 1
    (log,) = events(output).values()
    assert log == ["begun", "failed"]
    assert main(["batch", str(folder), "-o", str(output), "--quiet", "--retry-failed"]) == 0
    (log,) = events(output).values()
    assert log == ["begun", "failed"] * 2


def _as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "kept.txt").write_text("of somebody")


def _changed(**parts: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))

    return change


DAMAGED_RECORDS: dict[str, Callable[[Path], Any]] = {
    "hollow": _changed(biomarkers={}, scan={}, seconds=None),
    "other kinds": _changed(biomarkers=[1], metrics="x", warnings={"a": 1}),
    "nested too deep": lambda path: path.write_text('{"format": ' + "[" * 99_999),
    "no such status": _changed(status="splendid"),
    "numbers without end": lambda path: path.write_text('{"format": 1e999}'),
    "a folder": _as_folder,
    "its folder is a file": lambda path: (shutil.rmtree(path.parent), path.parent.write_text("x")),
    "no mask": lambda path: (path.parent / "lung_mask.nii.gz").unlink(),
    "an empty mask": lambda path: (path.parent / "lung_mask.nii.gz").write_bytes(b""),
    "a mask that is text": lambda path: (path.parent / "lung_mask.nii.gz").write_text("x" * 500),
    "a cut mask": lambda path: _cut(path.parent / "infection_mask.nii.gz"),
    "a folder as mask": lambda path: _as_folder(path.parent / "infection_mask.nii.gz"),
    "a cut picture": lambda path: _cut(path.parent / "thumbnail.png"),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.usefixtures("in_this_process")
def test_records_that_cannot_be_used_are_named_and_made_anew(
    few_slices: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = (
        copies(few_slices, tmp_path / "scans", len(DAMAGED_RECORDS) + 1),
        tmp_path / "out",
    )
    run_batch(folder, output)
    places = sorted(output.glob("*/result.json"))
    damaged = dict(zip(DAMAGED_RECORDS.values(), places, strict=False))
    for damage, path in damaged.items():
        damage(path)
    paths = BatchPaths(output)
    (output / "batch.json").write_text('{"format": "lunglens-batch-1", "runs": [7, [], {}]}')
    _as_folder(paths.key)
    _as_folder(paths.log) if paths.log.exists() else paths.log.mkdir()
    command = ["batch", str(folder), "-o", str(output), "--quiet"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "1 of them before), 0 failed" in printed
    for path in damaged.values():
        assert path.parent.name in printed
        assert json.loads(path.read_text())["status"] == "done"
    assert {row["status"] for row in rows(output)} == {"done"}
    # Nothing of anybody was deleted.
    assert len(list(output.rglob("*.set-aside-*/kept.txt"))) == 3
    assert run_batch(folder, output).renewed == ()


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 99_999])
def test_a_batch_whose_own_record_is_damaged_goes_on(
    text: str, few_slices: Study, tmp_path: Path
) -> None:
    folder, output = copies(few_slices, tmp_path / "scans", 1), tmp_path / "out"
    run_batch(folder, output)
    (output / "batch.json").write_text(text)
    summary = run_batch(folder, output)
    assert (summary.kept, summary.renewed) == (1, ("batch.json",))
    assert json.loads((output / "batch.json").read_text())["format"] == "lunglens-batch-1"


def complete(output: Path, summary: BatchSummary, names: list[str]) -> None:
    """Every scan has one row that is done, and was finished exactly once."""
    assert [row["name"] for row in rows(output)] == names
    assert {row["status"] for row in rows(output)} == {"done"}
    assert (summary.done, summary.found, summary.failures) == (len(names), len(names), ())
    assert all(log.count("done") == 1 and log[-1] == "done" for log in events(output).values())
    for folder in output.glob("*/result.json"):
        assert {"lung_mask.nii.gz", "infection_mask.nii.gz", "thumbnail.png"} <= {
            path.name for path in folder.parent.iterdir()
        }


@pytest.mark.slow
def test_killed_workers_are_replaced_and_a_scan_that_ends_them_all_is_given_up(
    chest: Study, tmp_path: Path
) -> None:
    folder, output = copies(chest, tmp_path / "scans", 4), tmp_path / "out"
    poison, unlucky = (scan.scan_id for scan in find_scans(folder).scans[:2])
    progress: list[tuple[str, int, int]] = []
    always = Killer(output, kills=MOST_CRASHES, only=poison)
    with always, Killer(output, kills=1, only=unlucky) as once:
        summary = run_batch(
            folder,
            output,
            config=BatchConfig(workers=2),
            on_progress=lambda *step: progress.append(step),
        )
    assert once.victims == [unlucky]
    assert always.victims == [poison] * MOST_CRASHES
    assert summary.lost_workers == MOST_CRASHES + 1
    assert (summary.found, summary.done) == (4, 3)
    ((scan_id, _, reason),) = summary.failures
    assert scan_id == poison
    assert "ended abruptly each time" in reason
    logs = events(output)
    assert logs.pop(poison) == ["begun"] * MOST_CRASHES + ["failed"]
    assert logs.pop(unlucky) == ["begun", "begun", "done"]
    assert list(logs.values()) == [["begun", "done"]] * 2
    assert [row["status"] for row in rows(output)] == ["failed", "done", "done", "done"]
    assert progress[-1][1:] == (4, 4)
    assert any("left" in stage for stage, _, _ in progress)


_SLOW_WORKER = """#!{python}
import time
import core.batch.work as work
from core.batch.worker import main
open_found = work.open_found
def slow(scan, *given, **named):
    time.sleep(600 if "scan1" in scan.files[0] else 0)
    return open_found(scan, *given, **named)
work.open_found = slow
main()
"""


def test_a_scan_over_the_time_limit_is_given_up_and_the_others_are_done(
    few_slices: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, output = tmp_path / "scans", tmp_path / "out"
    folder.mkdir()
    copies(few_slices, folder, 3)
    program = tmp_path / "worker"
    program.write_text(_SLOW_WORKER.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr("core.batch.local.sys.executable", str(program))
    summary = run_batch(folder, output, config=BatchConfig(timeout_s=6.0))
    assert (summary.found, summary.done, summary.lost_workers) == (3, 2, 0)
    (failure,) = summary.failures
    assert failure[1].startswith("scan1")
    assert (
        "got more than 6 s, expected less; run again with --retry-failed and a longer" in failure[2]
    )
    assert [row["status"] for row in rows(output)].count("done") == 2


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_limit_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="time limit of a scan is out of range"):
        BatchConfig(timeout_s=seconds)


@pytest.mark.slow
def test_a_killed_batch_leaves_no_worker_behind_and_resumes(chest: Study, tmp_path: Path) -> None:
    folder, output = copies(chest, tmp_path / "scans", 5), tmp_path / "out"
    command = [sys.executable, "-m", "core", "batch", str(folder), "-o", str(output)]
    parent = subprocess.Popen([*command, "--workers", "2"], cwd=ROOT, stdout=subprocess.DEVNULL)
    wait_for(lambda: any("done" in log for log in events(output).values()))
    workers = {
        json.loads(line)["pid"]
        for path in output.glob("*/attempts.jsonl")
        for line in path.read_text().splitlines()
    }
    with pytest.raises(SaveError, match="Another batch"):
        run_batch(folder, output)
    parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    wait_for(lambda: not any(map(is_alive, workers)))
    finished = {name for name, log in events(output).items() if log[-1] == "done"}
    assert 1 <= len(finished) < 5
    summary = run_batch(folder, output)
    assert summary.kept == len(finished)
    complete(output, summary, [f"scan{n}" for n in range(5)])
    assert all(events(output)[name] == ["begun", "done"] for name in finished)


@pytest.mark.parametrize(
    "ending", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_ctrl_c_explains_how_to_resume(
    chest: Study, tmp_path: Path, ending: signal.Signals
) -> None:
    folder, output = copies(chest, tmp_path / "scans", 4), tmp_path / "out"
    command = [sys.executable, "-m", "core", "batch", str(folder), "-o", str(output)]
    parent = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # A run in the background ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: any("done" in log for log in events(output).values()))
    parent.send_signal(ending)
    _, written = parent.communicate(timeout=30)
    assert parent.returncode == 1
    assert "the same command resumes" in written
    assert "Traceback" not in written
    states = Counter(row["status"] for row in rows(output))
    assert states["done"] >= 1
    assert sum(states.values()) == 4
    assert set(states) <= {"done", "waiting"}


def test_cancelling_keeps_what_is_done(few_slices: Study, tmp_path: Path) -> None:
    folder, output = copies(few_slices, tmp_path / "scans", 3), tmp_path / "out"
    with pytest.raises(Cancelled):
        run_batch(folder, output, should_cancel=lambda: any(output.glob("*/result.json")))
    assert Counter(row["status"] for row in rows(output))["done"] >= 1
    assert not any(map(is_alive, busy_attempts(output).values()))


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


# ------------------------------------------------------------ one scan, as any worker does it


@pytest.fixture
def task(few_slices: Study, tmp_path: Path) -> tuple[BatchJob, ScanTask]:
    folder, output = copies(few_slices, tmp_path / "scans", 1), tmp_path / "out"
    output.mkdir()
    job = BatchJob(
        folder=str(folder),
        output=str(output),
        run_id="first",
        segment=BatchConfig().segment,
        engine=None,
        weights_sha256=list_weights()[0].sha256,
        colours={"lung": "#56B4E9", "infection": "#E69F00"},
    )
    announce(job)
    (scan,) = find_scans(folder).scans
    return job, ScanTask(scan, fingerprint(scan, job))


def announce(job: BatchJob) -> None:
    write_text(job.paths.record, json_text({"format": "lunglens-batch-1", "run_id": job.run_id}))


def test_a_task_given_twice_is_done_once(task: tuple[BatchJob, ScanTask]) -> None:
    job, scan = task
    outcomes: list[str] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(work_on_scan(job, scan))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["done", "kept", "kept"]
    assert list(events(Path(job.output)).values()) == [["begun", "done"]]
    # A worker lost right after it had written: what it did is found, not done again.
    assert work_on_scan(replace(job, run_id="first"), scan) == "kept"


def test_half_a_result_is_no_result(task: tuple[BatchJob, ScanTask]) -> None:
    job, scan = task
    assert work_on_scan(job, scan) == "done"
    paths = BatchPaths(Path(job.output)).scan(scan.scan.scan_id)
    paths.result.write_text(paths.result.read_text()[:200])
    assert work_on_scan(job, scan) == "done"
    assert json.loads(paths.result.read_text())["status"] == "done"
    paths.attempts.write_text('{"event": "beg')  # a process ended while it wrote
    note_attempt(paths, job.run_id, "begun")


def test_a_bug_is_a_failure_with_a_note_where(
    task: tuple[BatchJob, ScanTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, scan = task

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("core.batch.work.compute_biomarkers", broken)
    assert work_on_scan(job, scan) == "failed"
    paths = BatchPaths(Path(job.output)).scan(scan.scan.scan_id)
    assert "got ZeroDivisionError" in json.loads(paths.result.read_text())["reason"]
    assert "oops" in paths.error.read_text()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weights_sha256": "0" * 64}, "has other weights"),
        ({"folder": "/nowhere"}, "does not see the folders"),
        ({"run_id": "other"}, "does not see the folders"),
    ],
)
def test_a_worker_that_can_do_nothing_reports_it(
    task: tuple[BatchJob, ScanTask], change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(WorkerUnavailable, match=reason):
        prepare_worker(replace(task[0], **change))


def test_results_do_not_go_where_they_would_do_harm(few_slices: Study, tmp_path: Path) -> None:
    folder = copies(few_slices, tmp_path / "scans", 1)
    with pytest.raises(SaveError, match="into the folder of the scans"):
        run_batch(folder, folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cohort.csv").write_text("my own table")
    with pytest.raises(SaveError, match="would be overwritten"):
        run_batch(folder, tmp_path / "mine")
    assert (tmp_path / "mine" / "cohort.csv").read_text() == "my own table"


# --------------------------------------------------------------------------------------- Dask


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """A Dask cluster of worker processes on this machine; its address."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
    ) as made:
        yield made.scheduler_address


@pytest.mark.slow
def test_dask_workers_do_the_same_and_a_killed_one_costs_nothing(
    chest: Study, tmp_path: Path
) -> None:
    folder, output = copies(chest, tmp_path / "scans", 3), tmp_path / "out"
    (folder / "cut.nii.gz").write_bytes((folder / "scan0.nii.gz").read_bytes()[:5000])
    with cluster(2) as address, Killer(output, kills=1) as killer:
        summary = run_batch(folder, output, scheduler=address)
        assert len(killer.victims) == 1
        assert (summary.found, summary.done, len(summary.failures)) == (4, 3, 1)
        assert summary.lost_workers >= 1
        logs = events(output)
        assert len(logs) == 4
        assert all(log.count("done") + log.count("failed") == 1 for log in logs.values())
        assert logs[killer.victims[0]].count("begun") == 2
        pids = {
            json.loads(line)["pid"]
            for path in output.glob("*/attempts.jsonl")
            for line in path.read_text().splitlines()
        }
        assert os.getpid() not in pids
        assert len(pids) >= 2
        assert run_batch(folder, output, scheduler=address).kept == 3
        assert events(output) == logs


@pytest.mark.parametrize(
    ("scheduler", "reason"),
    [
        ("10.0.0.1", "address cannot be read"),
        ("tcp://127.0.0.1:9", "No Dask scheduler answers"),
    ],
)
def test_a_scheduler_that_is_none_is_reported(
    few_slices: Study,
    tmp_path: Path,
    scheduler: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.batch.on_dask._SECONDS_TO_CONNECT", 1)
    folder = copies(few_slices, tmp_path / "scans", 1)
    with pytest.raises(LungLensError, match=reason):
        run_batch(folder, tmp_path / "out", scheduler=scheduler)


def test_workers_and_scheduler_exclude_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["batch", str(tmp_path), "-o", str(tmp_path / "out"), "--workers", "2"]
    assert main([*arguments, "--scheduler", "tcp://127.0.0.1:1"]) == 1
    assert "leave --workers out" in capsys.readouterr().err
