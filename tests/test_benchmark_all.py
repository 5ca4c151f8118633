"""The table of `benchmark --all`: what meets a bar, that real commands are measured, how masks are
compared."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core.benchmark import backends, batches, everything
from core.benchmark.backends import different_shares
from core.benchmark.batches import different_voxels
from core.benchmark.rows import Row, to_json_rows
from core.cli import main
from core.errors import LungLensError
from core.segmentation.weights import list_weights
from tests.studies import repeat_the_demo


@pytest.mark.parametrize(
    ("value", "bar", "at_most", "met"),
    [
        (4.5, 4.5, True, True),
        (4.6, 4.5, True, False),
        (1.6, 1.6, False, True),
        (1.5, 1.6, False, False),
        (9.0, None, True, None),
    ],
)
def test_a_bar_is_met_or_not(
    value: float, bar: float | None, at_most: bool, met: bool | None
) -> None:
    row = Row("engine", "something", value, "s", bar, at_most)
    assert row.met is met
    assert to_json_rows([row])[0]["met"] is met


def test_values_as_numpy_counts_them_are_json() -> None:
    row = Row("engine", "something", np.float64(0.25), "%", 0.5)
    assert json.loads(json.dumps(to_json_rows([row])))[0]["met"] is True


@pytest.mark.skipif(not list_weights(), reason="no trained weights are installed")
def test_the_table_is_made_of_measured_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repeat_the_demo(monkeypatch)
    monkeypatch.setattr(everything, "LARGER", (64, 64, 33))
    for part in ("_engine", "_limited", "_lobes", "_app", "_viewer", "_gpu"):
        monkeypatch.setattr(everything, part, lambda *_: [])

    def fail(_: Path) -> list[Row]:
        raise LungLensError("The benchmark failed", got="no weights")

    monkeypatch.setattr(everything, "_classifier", fail)
    # The time limit and the cluster have tests of their own; here they would only take time.
    monkeypatch.setattr(batches, "_time_limit", lambda *_: Row("batch", "limit", 1.0, "scans"))
    monkeypatch.setattr(batches, "_cluster", lambda *_: Row("batch", "cluster", 0.0, "voxels"))
    small = partial(batches.measure_batches, size=(64, 64, 32))
    monkeypatch.setattr(everything, "measure_batches", small)
    file = tmp_path / "all.json"
    assert main(["benchmark", "--all", "--batch-scans", "2", "--save", str(file)]) == 0
    shown = capsys.readouterr().out
    rows = json.loads(file.read_text())["rows"]
    assert [row["group"] for row in rows][:3] == ["classify", "report", "report"]
    assert "64 × 64 × 33, masks, tables and meshes included" in shown
    failed, report, memory, batch = rows[:4]
    assert (failed["value"], failed["met"]) == (None, None)
    assert "classify: The benchmark failed: got no weights" in shown
    assert report["met"] is (report["value"] <= 20.0)
    assert 0.1 < memory["value"] < 1.2
    assert batch["value"] > 0.0


def write_masks(folder: Path, lung: int, infection: int) -> Path:
    """Masks of which the first voxels are marked."""
    folder.mkdir(parents=True)
    for channel, count in (("lung", lung), ("infection", infection)):
        mask = np.zeros(1000, dtype=np.uint8)
        mask[:count] = 1
        image = nib.Nifti1Image(mask.reshape(10, 10, 10), np.eye(4))
        nib.save(image, folder / f"{channel}_mask.nii.gz")
    return folder


def test_masks_of_two_backends_differ_by_a_share_of_what_either_marks(tmp_path: Path) -> None:
    one, other = write_masks(tmp_path / "a", 400, 0), write_masks(tmp_path / "b", 398, 0)
    assert different_shares(one, other) == {"lung": 2 / 400, "infection": 0.0}
    assert different_shares(one, write_masks(tmp_path / "c", 400, 5))["infection"] == 1.0


def test_masks_of_two_batches_are_compared_voxel_by_voxel(tmp_path: Path) -> None:
    for batch, lung in (("one", 300), ("two", 303), ("none", 0)):
        if lung:
            write_masks(tmp_path / batch / "0123456789ab", lung, 10)
    assert different_voxels(tmp_path / "one", tmp_path / "one") == 0
    assert different_voxels(tmp_path / "one", tmp_path / "two") == 3
    with pytest.raises(LungLensError, match="2 and 0 masks"):
        different_voxels(tmp_path / "one", tmp_path / "none")


def test_a_backend_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backends, "installed_backends", lambda: ("tensorflow",))
    assert main(["benchmark", "--backends", "jax", "--size", "32x32x32"]) == 1
    assert "got jax, expected one of tensorflow" in capsys.readouterr().err


def test_without_a_gpu_the_table_says_so() -> None:
    cpu = Row("backends", "jax, float32, CPU (2 cores): batches of 8", 20.0, "slices/s")
    gpu = Row("backends", "jax, float32, GPU (A100): batches of 8", 2000.0, "slices/s")
    assert "No backend of Keras found a GPU" in backends.describe_devices([cpu])
    assert "No backend" not in backends.describe_devices([cpu, gpu])


def test_a_batch_of_one_scan_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--all", "--batch-scans", "1"]) == 1
    assert "got 1, expected 2 to 10000" in capsys.readouterr().err
