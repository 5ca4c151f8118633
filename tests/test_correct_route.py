"""Strokes over HTTP: what is taken, what is refused, and what the browser is told of the masks."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from starlette.applications import Starlette

from core.config import CorrectionConfig
from core.correction import Correction, runs_of
from core.ui.viewer import ViewerScan, slice_routes
from core.ui.viewer.editing import MOST_BODY_BYTES
from core.volume import MaskPair
from tests.studies import small_truth, small_volume
from tests.test_viewer import Answer, Owner, get, header_of, undo_labels

SHAPE = (48, 40, 8)


class Opened:
    """A scan that is open and may be corrected, as the viewer offers it."""

    def __init__(self, network: MaskPair | None) -> None:
        self.owner, self.volume, self.network = Owner(), small_volume(), network
        self.correction = Correction(self.volume, network)

    @property
    def header(self) -> dict[str, Any]:
        scan = ViewerScan(
            self.owner, self.volume, prediction=self.network, correction=self.correction
        )
        found: dict[str, Any] = header_of(scan)["scans"][0]
        return found

    def post(self, body: bytes = b"", **asked: object) -> Answer:
        return post(f"{self.header['token']}/edit?{urlencode(asked)}", body)

    def paint(self, numbers: list[int], *, revision: int = 0, **more: object) -> Answer:
        asked = {"edit": "paint", "channel": "infection", "marked": 1, "plane": "axial"}
        body = runs_of(np.array(numbers)).to_bytes()
        return self.post(body, **{**asked, "index": 2, "free": 1, "revision": revision, **more})


@pytest.fixture
def scan() -> Opened:
    return Opened(small_truth())


def post(path: str, body: bytes, *, method: str = "POST", parts: int = 1) -> Answer:
    """Asks the routes, mounted below /some/where, without a network; the body comes in parts."""
    app = Starlette(routes=slice_routes("some/where"))
    sent: list[dict[str, Any]] = []
    size = -(-len(body) // parts) or 1
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]

    async def ask() -> None:
        async def receive() -> dict[str, Any]:
            piece = pieces.pop(0) if pieces else b""
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        where, _, query = path.partition("?")
        scope = {"type": "http", "method": method, "path": f"/some/where/lunglens/slices/{where}"}
        await app({**scope, "headers": [], "query_string": query.encode()}, receive, send)

    asyncio.run(ask())
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], told, b"".join(part.get("body", b"") for part in sent[1:]))


def unpacked(answer: Answer) -> tuple[dict[str, Any], bytes]:
    """The header of a change, and the runs behind it."""
    assert answer.status == 200, answer.body
    body = zlib.decompress(answer.body, 31)
    length = int.from_bytes(body[:4], "little")
    assert length % 4 == 0
    return json.loads(body[4 : 4 + length]), body[4 + length :]


def test_a_stroke_is_made_and_only_its_size_comes_back(scan: Opened) -> None:
    header, runs = unpacked(scan.paint([0, 1, 2, 50]))
    assert header["voxels"] == {"infection": 4}
    assert (header["revision"], header["undoable"], header["touched"]) == (1, 1, True)
    assert header["text"] == "Infection: 0.045 ml added."
    assert runs == b""
    marked = scan.correction.masks().infection.reshape(-1, order="F")
    assert np.flatnonzero(marked[:100]).tolist() == [0, 1, 2, 50]


def test_what_the_server_computes_comes_back_as_runs(scan: Opened) -> None:
    unpacked(scan.paint([0, 1, 2, 50], revision=0))
    header, runs = unpacked(scan.post(edit="undo", channel="infection", revision=1))
    assert header["flips"] == [{"channel": "infection", "runs": 2}]
    assert np.frombuffer(runs, "<u4").tolist() == [0, 3, 50, 1]
    header, runs = unpacked(scan.post(edit="redo", channel="infection", revision=2))
    assert np.frombuffer(runs, "<u4").tolist() == [0, 3, 50, 1]


def test_a_body_in_many_parts_is_one_stroke(scan: Opened) -> None:
    asked = "edit=paint&channel=infection&marked=1&plane=axial&index=0&revision=0&free=1"
    body = runs_of(np.arange(0, 400, 2)).to_bytes()
    answer = post(f"{scan.header['token']}/edit?{asked}", body, parts=7)
    assert unpacked(answer)[0]["voxels"]["infection"] == 200


def test_masks_that_have_changed_since_are_reported_with_their_revision(scan: Opened) -> None:
    unpacked(scan.paint([0]))
    answer = scan.paint([1])
    assert answer.status == 409
    assert answer.headers["x-lunglens-revision"] == "1"
    assert b"has changed since" in answer.body
    assert scan.correction.revision == 1


def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(scan: Opened) -> None:
    answer = scan.post(edit="undo", revision=0)
    assert (answer.status, answer.body) == (422, b"There is nothing to undo.")
    far = {"voxel": "0,0,0", "plane": "axial", "index": 0, "whole": 0}
    answer = scan.post(edit="part", channel="lung", revision=0, **far)
    assert answer.status == 422
    assert b"open to the edge" in answer.body
    assert not scan.correction.touched


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"edit": "erase everything", "channel": "lung", "plane": "axial", "index": 0},
        {"edit": "paint", "channel": "bone", "plane": "axial", "index": 0},
        {"edit": "paint", "channel": "lung", "plane": "oblique", "index": 0},
        {"edit": "paint", "channel": "lung", "plane": "axial", "index": "²"},
        {"edit": "part", "channel": "lung", "plane": "axial", "index": 0, "voxel": "1,2"},
        {"edit": "part", "channel": "lung", "plane": "axial", "index": 0, "voxel": "1,2,-3"},
        {"edit": "copy", "channel": "lung", "plane": "axial", "index": 0, "step": 5},
        {"edit": "undo", "revision": "9" * 5000},
    ],
)
def test_what_is_no_edit_is_refused(scan: Opened, asked: dict[str, object]) -> None:
    assert scan.post(**{"revision": 0, **asked}).status == 400
    assert not scan.correction.touched


@pytest.mark.parametrize(
    "asked",
    [
        {"edit": "back", "channel": "lung", "plane": "axial", "index": 8},
        {"edit": "part", "channel": "lung", "plane": "axial", "index": 0, "voxel": "48,0,0"},
        {"edit": "interpolate", "channel": "lung", "plane": "sagittal", "index": 99999},
    ],
)
def test_places_outside_of_the_scan_are_refused(scan: Opened, asked: dict[str, object]) -> None:
    answer = scan.post(**asked, revision=0)
    assert answer.status == 422
    assert b"outside the scan" in answer.body


def test_runs_beyond_the_scan_or_in_no_order_are_refused(scan: Opened) -> None:
    asked = {"edit": "paint", "channel": "lung", "plane": "axial", "index": 0, "revision": 0}
    for pairs in ([(48 * 40 * 8, 1)], [(5, 2), (6, 1)], [(5, 0)], []):
        answer = scan.post(np.array(pairs, "<u4").tobytes(), marked=1, **asked)
        assert answer.status == 422
    assert scan.post(b"123", marked=1, **asked).status == 422
    assert not scan.correction.touched


def test_a_body_that_is_too_long_is_not_read(scan: Opened) -> None:
    answer = scan.post(b"\0" * (MOST_BODY_BYTES + 1), edit="paint", revision=0)
    assert answer.status == 413
    assert 8 * CorrectionConfig().most_runs == MOST_BODY_BYTES


def test_only_the_token_of_an_open_scan_that_may_be_corrected_will_do(scan: Opened) -> None:
    assert post("guessed/edit?edit=undo&revision=0", b"").status == 404
    shown = header_of(ViewerScan(Owner(), small_volume(), truth=small_truth()))["scans"][0]
    assert shown["correction"] is None
    assert post(f"{shown['token']}/edit?edit=undo&revision=0", b"").status == 404
    assert post(f"{scan.header['token']}/edit", b"", method="GET").status == 405


def test_without_a_login_nothing_is_changed(scan: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    token = scan.header["token"]
    monkeypatch.setattr("core.ui.viewer.serving.may_fetch", lambda cookies: False)
    assert post(f"{token}/edit?edit=undo&revision=0", b"").status == 401


# ---------------------------------------------------------------- what the page says


def test_corrected_masks_are_layers_once_there_are_any_and_labels_stay_as_they_are(
    scan: Opened,
) -> None:
    before = scan.header
    assert {layer["source"] for layer in before["labels"]["layers"]} == {"prediction"}
    unpacked(scan.paint([0, 1, 2]))
    after = scan.header
    assert [layer["bit"] for layer in after["labels"]["layers"]] == [4, 8, 16, 32]
    assert after["labels"]["version"] == before["labels"]["version"]
    assert after["correction"]["revision"] == 1
    answer = get(f"{after['token']}/labels/{after['labels']['version']}/0")
    assert answer.headers["x-lunglens-corrected"] == "1"
    labels = undo_labels(answer.body, columns=48, rows=40).T
    np.testing.assert_array_equal((labels & 32) != 0, scan.correction.masks().infection)
    np.testing.assert_array_equal((labels & 8) != 0, scan.network.infection)


def test_a_scan_without_masks_offers_labels_to_draw_on() -> None:
    scan = Opened(None)
    header = scan.header
    assert header["labels"] is None
    version = header["correction"]["labels"]
    answer = get(f"{header['token']}/labels/{version}/0")
    assert answer.headers["x-lunglens-corrected"] == "0"
    assert not undo_labels(answer.body, columns=48, rows=40).any()
    unpacked(scan.paint([0, 1, 2]))
    layers = scan.header["labels"]["layers"]
    assert [(layer["source"], layer["channel"]) for layer in layers] == [("corrected", "infection")]
    assert scan.header["labels"]["version"] == version
