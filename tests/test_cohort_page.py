"""Cohort as the page tells it: no batch, one batch, damaged ones, filters, figures, downloads."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.batch.cohort import (
    Cohort,
    RowFilter,
    find_batch_results,
    load_cohort,
    median_of,
    read_rows,
    read_thumbnail,
    rows_csv,
    scan_place,
    select_rows,
    sort_rows,
)
from core.batch.places import FORMAT
from core.batch.tables import columns, row_of, table_csv, waiting_row
from core.drawing.thumbnails import draw_key_slice
from core.errors import LoadError
from core.output.saving import save_volume
from core.segmentation import find_weights
from core.system.records import json_text, write_bytes, write_text
from core.ui.charts.spread import make_spread_figure
from core.ui.cohort import starting
from core.volume import Volume
from tests.browser import need_weights
from tests.studies import small_truth, small_volume
from tests.test_pages import button, opened, page, ran_well, texts

VOLUME = small_volume()
HOSTILE = "<b>*x*</b> $y$"


def record(
    number: int, *, share: float | None = 0.1, lung_ml: float | None = 3000.0
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "scan_id": f"{number:012x}",
        "name": f"scan {number}",
        "kind": "nifti",
        "status": "done",
        "reason": "",
        "finished": "2026-01-01T00:00:00+00:00",
        "key_slice": 5,
        "scan": {"shape": [48, 40, 8], "spacing_mm": [1.5, 1.5, 5.0], "unit": "HU"},
        "biomarkers": {
            "values": {
                "infected_share": share,
                "lung_volume_ml": lung_ml,
                "mosmed_category": "CT-1" if number % 2 else "CT-2",
            }
        },
    }


def failed(number: int) -> dict[str, Any]:
    said = {"format": FORMAT, "scan_id": f"{number:012x}", "name": HOSTILE, "kind": "nifti"}
    return {**said, "status": "failed", "reason": "=cut is cut short."}


def write_batch(folder: Path, records: list[dict[str, Any]], *, scans: Path | None = None) -> Path:
    rows = [row_of(one) for one in records]
    weights = {"weights_id": "unet-v2"}
    write_text(folder / "batch.json", json_text({"format": FORMAT, "weights": weights}))
    write_text(folder / "cohort.csv", table_csv(rows, columns()))
    truth = small_truth()
    assert truth.lung is not None
    for one in records:
        if one["status"] == "done":
            drawn = draw_key_slice(VOLUME, 4, masks={"#56B4E9": truth.lung}, width=224)
            write_bytes(folder / one["scan_id"] / "thumbnail.png", drawn)
    if scans is not None:
        places = {one["scan_id"]: {"place": f"{one['scan_id']}.nii.gz"} for one in records}
        key = {"format": FORMAT, "folder": str(scans), "scans": places}
        write_text(folder / "paths.json", json_text(key))
    return folder


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a batch of five scans, two of which failed, and one of the scans."""
    root = tmp_path / "data"
    records = [record(1, share=0.1), record(2, share=0.3), record(3, share=None, lung_ml=None)]
    write_batch(root / "results" / "one", [*records, failed(4), failed(5)], scans=root)
    save_volume(VOLUME, root / f"{1:012x}.nii.gz")
    monkeypatch.setenv("LUNGLENS_DATA_FOLDER", str(root))
    monkeypatch.delenv("LUNGLENS_COHORT_FOLDER", raising=False)
    return root


def shown(app: AppTest) -> list[str]:
    return list(app.dataframe[0].value["Id"])


def picked(app: AppTest, row: int) -> AppTest:
    app.session_state["cohort-rows"] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return ran_well(app.run())


def test_without_a_batch_the_page_says_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUNGLENS_DATA_FOLDER", raising=False)
    monkeypatch.setenv("LUNGLENS_COHORT_FOLDER", "/nowhere/at/all")
    app = ran_well(page("cohort").run())
    assert app.code[0].value == "python -m core batch FOLDER -o OUT --workers 2"
    assert "LUNGLENS_DATA_FOLDER" in texts(app)
    assert "does not exist" in texts(app)
    assert "/nowhere" not in texts(app)


def test_counts_medians_and_reasons(data: Path) -> None:
    app = ran_well(page("cohort").run())
    assert app.selectbox(key="cohort-batch").options == ["results / one"]
    told = {metric.label: metric.value for metric in app.metric}
    assert told["Scans"] == "5"
    assert told["Done"] == "3"
    assert told["Failed"] == "2"
    assert told["Median infected share (n = 2)"] == "20.0\u2009%"
    assert told["Median lung volume (n = 2)"] == "3.00\u00a0l"
    table = app.dataframe[0].value
    assert list(table["Infected share"])[:2] == [10.0, 30.0]
    assert math.isnan(table["Infected share"][2])
    pictures = list(table["Picture"])
    assert all(picture.startswith("data:image/jpeg;base64,") for picture in pictures[:3])
    assert pd.isna(pictures[3])
    failures = app.dataframe[1].value
    assert list(failures["Reason"]) == ["=cut is cut short."] * 2
    assert HOSTILE not in texts(app)  # in tables of data only, where nothing is markup


def test_filters_sorting_and_download(data: Path) -> None:
    app = ran_well(page("cohort").run())
    app.text_input(key="cohort-text").set_value("CT-1 scan")
    ran_well(app.run())
    assert shown(app) == [f"{n:012x}" for n in (1, 3)]
    app.text_input(key="cohort-text").set_value("")
    app.button_group(key="cohort-status").set_value("failed")
    ran_well(app.run())
    assert shown(app) == [f"{n:012x}" for n in (4, 5)]
    app.button_group(key="cohort-status").set_value("all")
    app.selectbox(key="cohort-order").set_value("Infected share")
    app.toggle(key="cohort-descending").set_value(True)
    ran_well(app.run())
    assert shown(app) == [f"{n:012x}" for n in (2, 1, 3, 4, 5)]
    app.slider(key="cohort-range-infected_share").set_value((20.0, 30.1))
    ran_well(app.run())
    assert shown(app) == [f"{2:012x}"]
    app.text_input(key="cohort-text").set_value("nothing has this name")
    ran_well(app.run())
    assert "No scan matches" in texts(app)


def test_a_picked_scan_shows_its_measurements_and_opens_in_browse(data: Path) -> None:
    app = picked(ran_well(page("cohort").run()), 0)
    assert "3.00" in texts(app)
    assert "not defined" in texts(app)  # what the tiny record lacks
    button(app, "Open on View").click()
    app.run()
    current = opened(app)
    assert current.study.volume.shape == VOLUME.shape
    assert current.place.voxel[2] == 4


def test_a_scan_outside_the_data_folder_is_not_opened(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    save_volume(VOLUME, outside / f"{1:012x}.nii.gz")
    write_batch(data / "results" / "one", [record(1)], scans=outside)
    app = picked(ran_well(page("cohort").run()), 0)
    assert "is not in the data folder" in texts(app)
    assert str(outside) not in texts(app)
    assert [b.label for b in app.button if "View" in b.label] == []
    # Nor by climbing out of it, nor where nobody says where scans lie.
    (data / "results" / "one" / "paths.json").unlink()
    app = picked(ran_well(page("cohort").run()), 0)
    assert "is not known here" in texts(app)


def test_results_are_looked_for_in_the_operators_folders_only(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_batch(tmp_path / "elsewhere", [record(7)])
    (data / "link").symlink_to(other)
    app = ran_well(page("cohort").run())
    assert app.selectbox(key="cohort-batch").options == ["results / one"]
    monkeypatch.setenv("LUNGLENS_COHORT_FOLDER", str(other))
    app = ran_well(page("cohort").run())
    assert app.selectbox(key="cohort-batch").options == ["elsewhere", "results / one"]
    assert shown(app) == [f"{7:012x}"]


def test_a_damaged_batch_is_reported_in_one_sentence(data: Path) -> None:
    table = data / "results" / "one" / "cohort.csv"
    table.write_text("a,b\n1,2\n")
    app = ran_well(page("cohort").run())
    assert [e.value for e in app.error] == [
        "The table of the batch cannot be read\\: got other columns\\, expected the cohort\\.csv "
        "of a batch\\; run the batch command again\\, which writes it again\\."
    ]


def test_a_batch_is_started_stopped_and_resumed_by_buttons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_weights()
    root = tmp_path / "data"
    whole = save_volume(VOLUME, root / "scans" / "good.nii.gz").read_bytes()
    (root / "scans" / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    monkeypatch.setenv("LUNGLENS_DATA_FOLDER", str(root))
    monkeypatch.setenv("LUNGLENS_ALLOW_TRAINING", "1")
    monkeypatch.delenv("LUNGLENS_COHORT_FOLDER", raising=False)
    starting._server_batch.clear()
    app = ran_well(page("cohort").run())
    assert app.selectbox(key="cohort-start-folder").options == ["Whole data folder", "scans"]
    app.selectbox(key="cohort-start-folder").set_value("scans")
    button(ran_well(app.run()), "Start the batch").click()
    button(ran_well(app.run()), "Stop").click()
    app.run()
    slot = starting._server_batch().slot
    assert slot.job is not None
    slot.job.join(120)
    assert slot.job.state == "stopped"
    app = ran_well(app.run())
    assert "The batch was stopped" in texts(app)
    resume = next(b for b in app.button if b.key == "cohort-start")
    assert resume.label in ("Start the batch", "Resume the batch")
    resume.click()
    # Another person sees it under way, and its end.
    app.run()
    other = ran_well(page("cohort").run())
    assert "continues when this page is closed" in texts(other)
    slot.job.join(240)
    app, other = ran_well(app.run()), ran_well(other.run())
    for one in (app, other):
        assert "1 of 2 scans done, 1 failed" in texts(one).replace("\\", "")
    assert app.selectbox(key="cohort-batch").options == ["batch / scans"]
    table = app.dataframe[0].value
    assert dict(zip(table["Scan"], table["State"], strict=True)) == {
        "good": "done",
        "cut": "failed",
    }
    assert (root / "batch" / "scans" / "batch.json").is_file()
    assert button(app, "Update")


def test_who_may_not_train_starts_no_batch(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNGLENS_ALLOW_TRAINING", "0")
    starting._server_batch.clear()
    app = ran_well(page("cohort").run())
    assert "Batches are switched off" in texts(app)
    assert not [b for b in app.button if b.key == "cohort-start"]


def test_dice_against_true_masks_says_whom_the_weights_know(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = find_weights()
    records = [record(1), record(2)]
    for one, name in zip(records, ("coronacases_org_001", "somebody"), strict=True):
        one |= {"name": name, "metrics": {"infection": {"dice": 0.8}, "lung": {"dice": 0.9}}}
    folder = write_batch(data / "results" / "one", records)
    weights = {"weights_id": info.weights_id, "sha256": info.sha256}
    write_text(folder / "batch.json", json_text({"format": FORMAT, "weights": weights}))
    app = ran_well(page("cohort").run())
    told = texts(app).replace("\\", "")
    assert "infection 0.800 (n = 2), lung 0.900 (n = 2)" in told
    assert "trained or chosen on the patients of 1 of these 2 scans" in told
    assert list(app.dataframe[0].value["Dice, infection"]) == [0.8, 0.8]


def test_an_uploaded_table_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counted(content: bytes) -> tuple[Any, ...]:
        read.append(len(content))
        return read_rows(content)

    monkeypatch.setattr("core.ui.cohort.source.read_rows", counted)
    app = ran_well(page("cohort").run())
    content = f"{HEAD}{GOOD}".encode()
    app.get("file_uploader")[0].set_value(("cohort.csv", content, "text/csv"))
    ran_well(app.run())
    assert app.metric[0].value == "1"
    ran_well(app.run())
    assert app.metric[0].value == "1"
    assert read == [len(content)]


# ------------------------------------------------------------------------------ without a page


def test_a_table_comes_back_as_it_was_written() -> None:
    rows = [row_of(record(1)), row_of(failed(2)), waiting_row(f"{3:012x}", "late", "dicom")]
    rows[0]["name"] = "=1+1"
    read = read_rows(table_csv(rows, columns()).encode())
    assert [row["status"] for row in read] == ["done", "failed", "waiting"]
    assert read[0]["name"] == "=1+1"
    assert read[0]["infected_share"] == 0.1
    assert read[1]["infected_share"] is None
    assert read[1]["reason"] == "=cut is cut short."
    again = list(csv.DictReader(io.StringIO(rows_csv(read))))
    assert again[0]["name"] == "'=1+1"
    assert tuple(again[0]) == columns()


HEAD = "scan_id,name,status,infected_share\n"
GOOD = f"{1:012x},a,done,0.5\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe\x00", "no table of text"),
        (b"a,b\n1,2\n", "other columns"),
        (f"{HEAD}../../etc,a,done,0.5\n".encode(), "a row without an id"),
        (f"{HEAD}{1:012x},a,maybe,0.5\n".encode(), "a row without an id or a status"),
        (f"{HEAD}{1:012x},a,done,much\n".encode(), "text where a number is expected"),
        (f"{HEAD}{GOOD}{GOOD}".encode(), "a scan with two rows"),
    ],
)
def test_what_is_no_table_of_a_batch_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(LoadError, match=told):
        read_rows(content)
    assert read_rows(f"{HEAD}{GOOD}".encode())[0]["infected_share"] == 0.5


def test_reading_ends_where_a_table_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.batch.cohort._MAX_ROWS", 10)
    monkeypatch.setattr("core.batch.cohort._MAX_LINES", 40)
    monkeypatch.setattr("core.batch.cohort._MAX_TABLE_BYTES", 5000)
    rows = [f"{number:012x},a,done,0.5\n" for number in range(11)]
    assert len(read_rows((HEAD + "".join(rows[:10])).encode())) == 10
    # What stands behind the last row that is read is never looked at.
    with pytest.raises(LoadError, match="too large to be shown: got more than 10 rows"):
        read_rows((HEAD + "".join(rows) + "no row at all\n").encode())
    with pytest.raises(LoadError, match="got more than 40 lines"):
        read_rows((HEAD + "\n" * 40 + rows[0]).encode())
    folder = write_batch(tmp_path / "b", [record(1)])
    (folder / "cohort.csv").write_bytes(b"\xff" * 5001)
    with pytest.raises(LoadError, match=r"too large to be shown.*in several batches"):
        load_cohort(folder)


def test_cells_that_a_row_lacks_are_not_defined() -> None:
    (row,) = read_rows(f"{HEAD}{1:012x},a,done\n".encode())
    assert row["infected_share"] is None
    assert row["reason"] == ""


def test_links_in_a_result_are_not_followed(tmp_path: Path) -> None:
    real = write_batch(tmp_path / "real", [record(1)])
    assert read_thumbnail(real, f"{1:012x}", width=64) is not None
    fake = write_batch(tmp_path / "fake", [record(1)])
    picture = fake / f"{1:012x}" / "thumbnail.png"
    picture.unlink()
    picture.symlink_to(real / f"{1:012x}" / "thumbnail.png")
    assert read_thumbnail(fake, f"{1:012x}", width=64) is None
    picture.unlink()
    picture.write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    assert read_thumbnail(fake, f"{1:012x}", width=64) is None
    (fake / "cohort.csv").unlink()
    (fake / "cohort.csv").symlink_to(real / "cohort.csv")
    with pytest.raises(LoadError, match="not a batch result"):
        load_cohort(fake)
    with pytest.raises(ValueError, match="no id"):
        read_thumbnail(real, "../../etc", width=64)
    assert find_batch_results(tmp_path) == (fake, real)


def test_where_a_scan_lies_is_taken_from_good_records_only(tmp_path: Path) -> None:
    folder = write_batch(tmp_path / "b", [record(1)], scans=tmp_path)
    cohort = load_cohort(folder)
    assert scan_place(cohort, f"{1:012x}") == (tmp_path / f"{1:012x}.nii.gz", None)
    assert scan_place(cohort, f"{9:012x}") is None
    assert scan_place(Cohort(cohort.rows), f"{1:012x}") is None
    key = json.loads((folder / "paths.json").read_text())
    for broken in ([], 3, "a\0b", None):
        key["scans"][f"{1:012x}"]["place"] = broken
        (folder / "paths.json").write_text(json.dumps(key))
        assert scan_place(cohort, f"{1:012x}") is None
    key["scans"][f"{1:012x}"] = {"place": "p", "series_uid": "1.2"}
    (folder / "paths.json").write_text(json.dumps(key))
    assert scan_place(cohort, f"{1:012x}") == (tmp_path / "p", "1.2")


def test_filters_medians_and_order_by_hand() -> None:
    rows = [row_of(record(n, share=s)) for n, s in ((1, 0.4), (2, None), (3, 0.1), (4, 0.2))]
    assert median_of(rows, "infected_share") == (0.2, 3)
    assert median_of(rows[:2] + rows[3:], "infected_share") == (pytest.approx(0.3), 2)
    assert median_of(rows, "mean_lung_hu") == (None, 0)
    wanted = RowFilter(infected_share=(0.1, 0.2))
    assert [row["name"] for row in select_rows(rows, wanted)] == ["scan 3", "scan 4"]
    down = sort_rows(rows, "infected_share", descending=True)
    assert [row["name"] for row in down] == ["scan 1", "scan 4", "scan 3", "scan 2"]
    up = sort_rows(rows, "infected_share")
    assert [row["name"] for row in up] == ["scan 3", "scan 4", "scan 1", "scan 2"]


def test_a_chart_counts_every_scan_and_takes_no_markup_from_names() -> None:
    groups = {"CT-1": [(HOSTILE, 0.1), ("b", 0.2)], "CT-2": [("c", 0.4)], "CT-3": []}
    chart = make_spread_figure(groups, label="Infected share", share=True)
    histograms = [trace for trace in chart.data if trace.type == "histogram"]
    boxes = [trace for trace in chart.data if trace.type == "box"]
    assert [list(trace.x) for trace in histograms] == [[10.0, 20.0], [40.0]]
    # Round bins that hold every value, the same in all groups: 10 to 40 in steps of 5.
    for trace in histograms:
        assert (trace.xbins.start, trace.xbins.end, trace.xbins.size) == (10.0, 45.0, 5.0)
    assert [trace.name for trace in histograms] == ["CT-1 (2)", "CT-2 (1)"]
    assert next(iter(boxes[0].text)) == "&lt;b&gt;*x*&lt;/b&gt; $y$"
    assert chart.layout.xaxis2.title.text == "Infected share, %"
    assert chart.layout.yaxis.dtick == 1


def test_the_axis_of_a_tall_chart_has_few_whole_steps() -> None:
    groups = {"all": [(f"scan {n}", 0.1) for n in range(23)]}
    chart = make_spread_figure(groups, label="Infected share", share=True)
    assert chart.layout.yaxis.dtick == 5


@pytest.mark.parametrize("flip", [False, True])
def test_the_key_slice_is_drawn_upright_and_square_in_mm(flip: bool) -> None:
    # 48 × 40 pixels of 1.5 mm, whatever the order of axes in the file: 224 × 187 on the screen.
    truth = small_truth()
    assert truth.lung is not None
    volume: Volume = small_volume()
    array = volume.array.copy(order="F")
    array[6:10, 8:12, 4] = 3000  # towards the patient's right and the front: above, on the left
    drawn = draw_key_slice(
        Volume(array, volume.affine, volume.intensity, volume.source),
        4,
        masks={"#56B4E9": truth.lung} if flip else {},
        width=224,
    )
    import cv2

    picture = cv2.imdecode(np.frombuffer(drawn, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (187, 224, 3)
    assert picture[46, 37].min() > 240
    blue = (picture == (0xE9, 0xB4, 0x56)).all(axis=2)
    assert blue.any() == flip
    if flip:
        edge = np.argwhere(blue)
        # Lung from column 6 of 48 and row 8 of 40 on.
        assert abs(edge[:, 1].min() - 224 * 6 / 48) <= 3
        assert abs(edge[:, 0].min() - 187 * 8 / 40) <= 3
