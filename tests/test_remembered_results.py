"""Results of the network on the disk: the same result again, bounded, and never a wrong one."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.config import PostprocessConfig, SegmentConfig
from core.segmentation import ResultStore, Segmentation, apply_thresholds
from core.segmentation.pipeline import segment_volume
from core.volume import Volume
from tests.studies import StandInInfo, StandInSegmenter, small_volume

INFO: Any = StandInInfo()
OTHER: Any = StandInInfo(weights_id="other", sha256="b" * 64)


def result_of(volume: Volume, **config: Any) -> Segmentation:
    return segment_volume(
        volume, StandInSegmenter(), config=SegmentConfig(weights_id="stand-in", **config)
    )


def same(one: Segmentation, other: Segmentation) -> None:
    np.testing.assert_array_equal(one.masks.lung, other.masks.lung)
    np.testing.assert_array_equal(one.masks.infection, other.masks.infection)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    if one.presence is None:
        assert other.presence is None
    else:
        np.testing.assert_array_equal(one.presence, other.presence)
    for name in ("record", "seconds", "device", "weights_id", "config", "fallback_reason"):
        assert getattr(one, name) == getattr(other, name), name
    assert str(one.scan) == str(other.scan)
    assert one.warnings == other.warnings


@pytest.mark.parametrize("grey", [False, True])
def test_a_result_comes_back_whole_and_its_thresholds_can_move(tmp_path: Path, grey: bool) -> None:
    volume = small_volume(grey=grey)
    result = result_of(volume)
    store = ResultStore(tmp_path / "results", 10**9)
    assert store.empty
    assert store.recall(volume, [INFO]) is None
    store.remember(volume, result, INFO)
    again = ResultStore(tmp_path / "results", 10**9).recall(small_volume(grey=grey), [INFO])
    assert again is not None
    same(result, again)
    moved = PostprocessConfig(lung_threshold=0.7, infection_threshold=0.2)
    same(apply_thresholds(result, moved), apply_thresholds(again, moved))


def test_only_this_scan_these_weights_and_these_settings_count(tmp_path: Path) -> None:
    volume = small_volume()
    store = ResultStore(tmp_path, 10**9)
    result = result_of(volume)
    store.remember(volume, result, INFO)
    assert store.recall(small_volume(grey=True), [INFO]) is None
    assert store.recall(volume, [OTHER]) is None
    assert store.recall(volume, [replace(INFO, sha256="c" * 64)]) is None
    assert store.recall(volume, [INFO], result.config) is not None
    assert store.recall(volume, [INFO], replace(result.config, batch_size=4)) is None


def test_the_one_used_last_comes_back(tmp_path: Path) -> None:
    volume = small_volume()
    store = ResultStore(tmp_path, 10**9)
    first, second = result_of(volume), result_of(volume, batch_size=4)
    store.remember(volume, first, INFO)
    long_ago(tmp_path)
    store.remember(volume, second, INFO)
    assert store.recall(volume, [INFO]).config == second.config
    long_ago(tmp_path)
    assert store.recall(volume, [INFO], first.config).config == first.config
    assert store.recall(volume, [INFO]).config == first.config


def long_ago(folder: Path) -> None:
    for path in folder.iterdir():
        os.utime(path, (1e9, 1e9))


def test_results_used_longest_ago_go_where_room_is_short(tmp_path: Path) -> None:
    volume = small_volume()
    ResultStore(tmp_path, 10**9).remember(volume, result_of(volume), INFO)
    (size,) = (path.stat().st_size for path in tmp_path.iterdir())
    store = ResultStore(tmp_path, round(2.5 * size))
    for number in range(1, 6):
        store.remember(volume, result_of(volume, batch_size=number), INFO)
        for age, path in enumerate(sorted(tmp_path.iterdir(), key=lambda p: p.stat().st_mtime)):
            os.utime(path, (1e9 + age, 1e9 + age))
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2.5 * size
    assert store.recall(volume, [INFO], result_of(volume, batch_size=5).config) is not None
    assert store.recall(volume, [INFO], result_of(volume, batch_size=1).config) is None


def test_a_damaged_result_is_none_and_goes(tmp_path: Path) -> None:
    volume = small_volume()
    store = ResultStore(tmp_path, 10**9)
    store.remember(volume, result_of(volume), INFO)
    (path,) = tmp_path.iterdir()
    whole = gzip.decompress(path.read_bytes())
    length = int.from_bytes(whole[:4], "little")
    header = json.loads(whole[4 : 4 + length])

    def with_header(**changes: Any) -> bytes:
        text = json.dumps({**header, **changes}).encode()
        return len(text).to_bytes(4, "little") + text + whole[4 + length :]

    bad = [
        b"",
        path.read_bytes()[:-20],
        b"no gzip at all",
        gzip.compress(b"\xff\xff\xff\xff"),
        gzip.compress(whole[:-3]),
        gzip.compress(with_header(probabilities=[2, 99, 4, 4])),
        gzip.compress(with_header(probabilities=[2, 8, 10**9, 4])),
        gzip.compress(with_header(record={})),
        gzip.compress(with_header(config={"unknown": 1})),
    ]
    for content in bad:
        path.write_bytes(content)
        assert store.recall(volume, [INFO]) is None
        assert not path.exists()
