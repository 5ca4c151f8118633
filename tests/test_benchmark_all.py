"""The table of `benchmark --all`: what meets a bar, and that real commands are measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.benchmark import everything
from core.benchmark.everything import Row, to_json_rows
from core.cli import main
from core.segmentation.weights import list_weights


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


@pytest.mark.skipif(not list_weights(), reason="no trained weights are installed")
def test_the_table_is_made_of_measured_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(everything, "_BATCH_SIZE", (64, 64, 32))
    monkeypatch.setattr(everything, "LARGER", (64, 64, 33))
    for part in ("_engine", "_limited", "_classifier", "_gpu"):
        monkeypatch.setattr(everything, part, lambda *_: [])
    file = tmp_path / "all.json"
    assert main(["benchmark", "--all", "--batch-scans", "2", "--save", str(file)]) == 0
    shown = capsys.readouterr().out
    rows = json.loads(file.read_text())["rows"]
    assert [row["group"] for row in rows][:2] == ["report", "report"]
    assert "64 × 64 × 33, masks, tables and meshes included" in shown
    report, memory, batch = rows[0], rows[1], rows[2]
    assert report["met"] is (report["value"] <= 20.0)
    assert 0.1 < memory["value"] < 1.2
    assert batch["value"] > 0.0


def test_a_batch_of_one_scan_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--all", "--batch-scans", "1"]) == 1
    assert "got 1, expected 2 to 10000" in capsys.readouterr().err
