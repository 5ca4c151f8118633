"""The gate for empty slices: what it looks at, what it clears, whose it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import WeightsError
from core.segmentation.empty_slices import (
    SHARE_NAMES,
    EmptySliceGate,
    find_gate,
    read_gate,
    slice_shares,
)
from core.segmentation.weights import find_weights

_HALF = SHARE_NAMES.index("log_area_half")


def probabilities() -> np.ndarray:
    """Three slices of one lung of 40×50 pixels in a frame of 80×100: nothing, a spot of 20 pixels,
    a quarter of the lung."""
    found = np.zeros((2, 3, 80, 100), dtype=np.uint8)
    found[0, :, 20:60, 10:60] = 255
    found[1, 1, 30:34, 20:25] = 200
    found[1, 2, 20:40, 10:35] = 255
    found[1, 0, :10] = 255  # outside the lung it counts for nothing
    return found


def gate(**changes: object) -> EmptySliceGate:
    weights = [0.0] * len(SHARE_NAMES)
    weights[_HALF] = 1.0
    settings: dict[str, object] = {
        "weights_id": "gate",
        "weights": tuple(weights),
        "bias": -float(np.log(1e-3)),
        "threshold": 0.5,
        "segmentation_id": "made-up",
        "segmentation_sha256": "0" * 64,
    }
    return EmptySliceGate(**{**settings, **changes})  # type: ignore[arg-type]


def test_shares_by_hand() -> None:
    shares = dict(zip(SHARE_NAMES, slice_shares(probabilities()).T, strict=True))
    np.testing.assert_allclose(shares["log_area_half"], np.log(1e-5 + np.array([0, 0.01, 0.25])))
    # A thousandth of 2000 pixels is two, a hundredth twenty.
    np.testing.assert_allclose(shares["peak_promille"], [0, 200 / 255, 1])
    np.testing.assert_allclose(shares["peak_percent"], [0, 200 / 255, 1])


def test_slices_without_lung_are_empty() -> None:
    none = np.zeros((2, 2, 16, 16), dtype=np.uint8)
    assert gate().empty(none).all()
    assert slice_shares(none[:, :0]).shape == (0, len(SHARE_NAMES))


def test_only_slices_called_empty_are_cleared() -> None:
    found = probabilities()
    found[1, 0, 21, 11] = 255  # one pixel of two thousand: half a thousandth
    before = found.copy()
    cleared = gate().clear(found)
    np.testing.assert_array_equal(gate().empty(found), [True, False, False])
    np.testing.assert_array_equal(found, before)
    assert not cleared[1, 0].any()
    np.testing.assert_array_equal(cleared[1, 1:], before[1, 1:])
    np.testing.assert_array_equal(cleared[0], before[0])


def test_a_gate_belongs_to_its_segmentation_weights(tmp_path: Path) -> None:
    info = find_weights()
    manifest = {
        "kind": "empty-slice",
        "weights_id": "gate",
        "weights": dict.fromkeys(SHARE_NAMES, 1.0),
        "bias": 0.0,
        "threshold": 0.1,
        "segmentation": {"weights_id": info.weights_id, "sha256": info.sha256},
    }
    (tmp_path / "gate").mkdir()
    place = tmp_path / "gate" / "manifest.json"
    place.write_text(json.dumps(manifest))
    found = find_gate(info, folder=tmp_path)
    assert found is not None
    assert found.threshold == 0.1
    manifest["segmentation"] = {"weights_id": info.weights_id, "sha256": "0" * 64}
    place.write_text(json.dumps(manifest))
    assert find_gate(info, folder=tmp_path) is None
    del manifest["weights"]
    place.write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="cannot be read"):
        read_gate(tmp_path / "gate")


def test_a_damaged_gate_is_an_error_and_not_absent(tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "manifest.json").write_text("{")
    with pytest.raises(WeightsError, match=r"gate/manifest\.json cannot be read"):
        find_gate(find_weights(), folder=tmp_path)
