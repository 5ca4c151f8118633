"""What the browser fetches and is told: voxels, masks, geometry, and for how long."""

from __future__ import annotations

import asyncio
import gc
import json
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette

from core.config import CHANNELS
from core.ui.viewer import Box, Comparison, Line, Place, ViewerScan, slice_routes
from core.ui.viewer.header import make_header
from core.ui.viewer.packing import BITS, pack_labels, pack_values, slices_per_chunk
from core.ui.viewer.serving import Offers
from core.volume import MaskPair
from tests.studies import small_truth, small_volume

SHAPE = (48, 40, 8)
PLAIN = {"key": "viewer", "comparison": None, "drawings": (), "tools": "all", "tallest": 0.6}


class Owner:
    """Stands for a session's open study."""


def undo_values(packed: bytes, *, bits: int, columns: int, rows: int) -> np.ndarray:
    """(slices, rows, columns), from the layout that packing.py describes."""
    body = np.frombuffer(zlib.decompress(packed, 31), dtype=np.uint8).astype(np.int64)
    if bits == 16:
        low, high = np.split(body, 2)
        folded = low + 256 * high
        body = np.where(folded % 2, -(folded + 1) // 2, folded // 2)
    values = np.cumsum(body.reshape(-1, rows, columns), axis=2)
    return values.astype(np.int16 if bits == 16 else np.uint8)


def undo_labels(packed: bytes, *, columns: int, rows: int) -> np.ndarray:
    return np.frombuffer(zlib.decompress(packed, 31), dtype=np.uint8).reshape(-1, rows, columns)


def header_of(scan: ViewerScan, **others) -> dict:
    arguments = {
        "key": "viewer",
        "comparison": None,
        "drawings": (),
        "tools": "all",
        "tallest": 0.6,
    }
    return make_header(scan, Place((24, 20, 4)), **{**arguments, **others})


# ---------------------------------------------------------------- packing


def test_16_bit_values_come_back_exactly_even_the_farthest_apart():
    volume = small_volume()
    array = volume.array.copy(order="F")
    array[:4, 0, 2] = [-32768, 32767, -32768, 0]
    packed = pack_values(replace(volume, array=array), start=2, stop=5)
    values = undo_values(packed, bits=16, columns=48, rows=40)
    np.testing.assert_array_equal(values, array[:, :, 2:5].T)


def test_8_bit_values_come_back_exactly_and_as_8_bits():
    volume = small_volume(grey=True)
    packed = pack_values(volume, start=0, stop=8)
    values = undo_values(packed, bits=8, columns=48, rows=40)
    np.testing.assert_array_equal(values, volume.array.T)
    header = header_of(ViewerScan(Owner(), volume))["scans"][0]
    assert header["bits"] == 8
    np.testing.assert_allclose(
        values * header["slope"] + header["intercept"], volume.hu(volume.array.T), atol=1e-3
    )
    assert header["unitKnown"] is False


def test_fractions_arrive_as_whole_hu_and_what_is_no_number_breaks_nothing():
    array = np.asfortranarray(small_volume().array.astype(np.float32))
    array[:5, 0, 0] = [np.nan, np.inf, -1e9, 12.4, -12.6]
    packed = pack_values(replace(small_volume(), array=array), start=0, stop=1)
    values = undo_values(packed, bits=16, columns=48, rows=40)
    assert values[0, 0, :5].tolist() == [-1024, 32767, -32768, 12, -13]


def test_each_mask_has_a_bit_of_its_own():
    truth = small_truth()
    shifted = MaskPair(np.roll(truth.lung, 2, axis=0), np.roll(truth.infection, 2, axis=0))
    corrected = MaskPair(np.roll(truth.lung, 1, axis=1), np.roll(truth.infection, 1, axis=1))
    pairs = {"truth": truth, "prediction": shifted, "corrected": corrected}
    labels = undo_labels(pack_labels(pairs, SHAPE, start=3, stop=6), columns=48, rows=40)
    for source, pair in pairs.items():
        for channel in CHANNELS:
            mask = pair.lung if channel == "lung" else pair.infection
            marked = (labels & BITS[source, channel]) != 0
            np.testing.assert_array_equal(marked, mask[:, :, 3:6].T)


@pytest.mark.parametrize(
    ("shape", "voxels", "expected"),
    [((512, 512, 300), 1 << 21, 8), ((48, 40, 8), 1920, 1), ((4096, 4096, 9), 1 << 21, 1)],
)
def test_a_chunk_holds_about_so_many_voxels(shape, voxels, expected):
    assert slices_per_chunk(shape, voxels) == expected


def test_a_noisy_scan_of_300_slices_stays_below_100_mb():
    rng = np.random.default_rng(0)
    noisy = rng.normal(-600, 40, (512, 512, 4)).astype(np.int16)
    volume = replace(small_volume(), array=np.asfortranarray(noisy))
    assert len(pack_values(volume, start=0, stop=4)) * 300 / 4 < 100e6


# ---------------------------------------------------------------- offers


def test_an_offer_dies_with_its_owner():
    offers, owner = Offers(), Owner()
    token = offers.offer(owner, small_volume(), truth=small_truth()).token
    assert offers.find(token) is not None
    del owner
    gc.collect()
    assert offers.find(token) is None


def test_other_masks_get_another_version_and_the_token_stays():
    offers, owner, volume = Offers(), Owner(), small_volume()
    truth, prediction = small_truth(), small_truth()
    first = offers.offer(owner, volume, truth=truth)
    token, version = first.token, first.labels.version
    assert offers.offer(owner, volume, truth=truth).labels.version == version
    second = offers.offer(owner, volume, truth=truth, prediction=prediction)
    assert (second.token, second.labels.version) == (token, version + 1)


def test_another_meaning_of_values_sends_nothing_again_unless_they_were_rounded():
    offers, owner = Offers(), Owner()
    grey = small_volume(grey=True)
    other = replace(grey.intensity, intercept=-1000.0)
    token = offers.offer(owner, grey).token
    assert offers.offer(owner, grey.with_intensity(other)).token == token
    rounded = replace(grey, array=np.asfortranarray(grey.array.astype(np.float32)))
    token = offers.offer(owner, rounded).token
    assert offers.offer(owner, rounded.with_intensity(other)).token != token


def test_two_sessions_have_two_tokens_for_one_volume():
    offers, volume, owners = Offers(), small_volume(), (Owner(), Owner())
    tokens = {offers.offer(owner, volume).token for owner in owners}
    assert len(tokens) == 2
    assert min(map(len, tokens)) >= 32


# ---------------------------------------------------------------- routes


@dataclass
class Answer:
    """What a server has sent."""

    status: int
    headers: dict[str, str]
    body: bytes


def get(path: str, cookie: str = "") -> Answer:
    """Asks the routes, mounted below /some/where, without a network."""
    app = Starlette(routes=slice_routes("some/where"))
    sent: list[dict[str, Any]] = []
    headers = [(b"cookie", cookie.encode("latin-1"))] if cookie else []

    async def ask() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": f"/some/where/lunglens/slices/{path}"}
        await app({**scope, "headers": headers, "query_string": b""}, receive, send)

    asyncio.run(ask())
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], told, b"".join(part.get("body", b"") for part in sent[1:]))


def scan_header(owner: object, **masks) -> dict:
    return header_of(ViewerScan(owner, small_volume(), **masks))["scans"][0]


def test_chunks_are_served_gzipped_and_kept_nowhere():
    owner, truth = Owner(), small_truth()
    header = scan_header(owner, truth=truth)
    answer = get(f"{header['token']}/values/0")
    assert answer.status == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    values = undo_values(answer.body, bits=16, columns=48, rows=40)
    np.testing.assert_array_equal(values, small_volume().array.T)
    answer = get(f"{header['token']}/labels/{header['labels']['version']}/0")
    labels = undo_labels(answer.body, columns=48, rows=40)
    np.testing.assert_array_equal((labels & 1) != 0, truth.lung.T)


@pytest.mark.parametrize(
    "rest",
    [
        "nobody/values/0",
        "{token}/values/1",
        "{token}/values/-1",
        "{token}/values/0.5",
        "{token}/values/²",
        "{token}/values/" + "9" * 5000,
        "{token}/labels/2/0",
        "{token}/labels/1/9",
        "{token}/labels/" + "9" * 5000 + "/0",
    ],
)
def test_what_is_not_there_is_reported_in_one_sentence(rest):
    owner = Owner()
    token = scan_header(owner, truth=small_truth())["token"]
    answer = get(rest.format(token=token))
    assert answer.status == 404
    assert b"reload the page" in answer.body
    assert b"Traceback" not in answer.body


def test_a_closed_scan_is_not_served():
    owner = Owner()
    token = scan_header(owner)["token"]
    del owner
    gc.collect()
    assert get(f"{token}/values/0").status == 404


# ---------------------------------------------------------------- header and place


def test_a_header_is_small_plain_json_without_voxels():
    scan = ViewerScan(Owner(), small_volume(), small_truth(), small_truth(), name="<b>n</b>")
    text = json.dumps(
        header_of(
            scan,
            comparison=Comparison("a", "b", left_masks=("truth",)),
            drawings=[Box((0, 0, 0), (4, 4, 4)), Line(((0, 0), (3, 4)))],
        ),
        allow_nan=False,
    )
    assert len(text) < 5000
    header = json.loads(text)
    assert header["scans"][0]["shape"] == [48, 40, 8]
    assert header["scans"][0]["spacing"] == pytest.approx([1.5, 1.5, 5.0])
    assert len(header["scans"][0]["labels"]["layers"]) == 4
    assert header["comparison"]["masks"] == [
        ["truth"],
        ["truth", "second", "prediction", "corrected"],
    ]


def test_truth_without_a_lung_mask_offers_the_infection_alone():
    truth = MaskPair(lung=None, infection=small_truth().infection)
    layers = scan_header(Owner(), truth=truth)["labels"]["layers"]
    assert [(layer["source"], layer["channel"]) for layer in layers] == [("truth", "infection")]
    assert scan_header(Owner())["labels"] is None


def test_a_header_stays_the_same_while_the_person_moves_on():
    scan, place = ViewerScan(Owner(), small_volume()), Place((1, 2, 3))
    before = make_header(scan, place, **PLAIN)
    place.follow({"plane": "coronal", "voxel": [5, 6, 7], "center": 0, "width": 9}, (48, 40, 8))
    assert make_header(scan, place, **PLAIN) == before
    place.go_to(plane="axial")
    assert make_header(scan, place, **PLAIN)["place"]["voxel"] == [5, 6, 7]


@pytest.mark.parametrize(
    ("told", "plane", "voxel"),
    [
        ({"plane": "coronal", "voxel": [99, -5, 3]}, "coronal", (47, 0, 3)),
        ({"plane": "oblique", "voxel": [1, 2]}, "axial", (1, 2, 3)),
        ({"voxel": ["1", None, 3]}, "axial", (1, 2, 3)),
        ({"voxel": [float("nan"), 0, 0], "width": -1, "center": True}, "axial", (1, 2, 3)),
        ("nonsense", "axial", (1, 2, 3)),
    ],
)
def test_what_the_browser_tells_is_taken_with_care(told, plane, voxel):
    place = Place((1, 2, 3))
    place.follow(told, (48, 40, 8))
    assert (place.plane, place.voxel) == (plane, voxel)
    assert place.window.width > 0
