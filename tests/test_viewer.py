"""What goes to the browser for one slice: values in HU, masks as bits, geometry in mm."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from core.ui.viewer import Overlay, Window, pack_slice
from core.volume import PLANE_LABELS, MaskPair, plane_slice
from tests.studies import small_truth, small_volume

LUNG_WINDOW = Window(center=-600, width=1500)


def unpack(packed: bytes):
    length = int.from_bytes(packed[:4], "little")
    assert length % 4 == 0
    header = json.loads(packed[4 : 4 + length])
    count = header["rows"] * header["columns"]
    body = packed[4 + length :]
    assert len(body) == 3 * count
    shape = (header["rows"], header["columns"])
    values = np.frombuffer(body[: 2 * count], dtype="<i2").reshape(shape)
    labels = np.frombuffer(body[2 * count :], dtype=np.uint8).reshape(shape)
    return header, values, labels


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_values_are_those_of_the_slice_in_radiological_convention(plane):
    volume = small_volume()
    packed = pack_slice(volume, plane=plane, slice_index=3, window=LUNG_WINDOW)
    header, values, labels = unpack(packed)
    np.testing.assert_array_equal(values, plane_slice(volume.array, plane, 3))
    assert tuple(header["letters"]) == PLANE_LABELS[plane]
    assert not labels.any()


@pytest.mark.parametrize(
    ("plane", "height_mm", "width_mm"),
    [("axial", 1.5, 1.5), ("coronal", 5.0, 1.5), ("sagittal", 5.0, 1.5)],
)
def test_pixels_carry_their_size_so_that_they_are_drawn_square_in_mm(plane, height_mm, width_mm):
    header, _, _ = unpack(
        pack_slice(small_volume(), plane=plane, slice_index=0, window=LUNG_WINDOW)
    )
    assert (header["pixelHeight"], header["pixelWidth"]) == pytest.approx((height_mm, width_mm))


def test_each_mask_has_a_bit_of_its_own():
    truth = small_truth()
    shifted = MaskPair(np.roll(truth.lung, 2, axis=0), np.roll(truth.infection, 2, axis=0))
    header, _, labels = unpack(
        pack_slice(
            small_volume(),
            plane="axial",
            slice_index=4,
            window=LUNG_WINDOW,
            truth=truth,
            prediction=shifted,
        )
    )
    masks = {
        ("truth", "lung"): truth.lung,
        ("truth", "infection"): truth.infection,
        ("prediction", "lung"): shifted.lung,
        ("prediction", "infection"): shifted.infection,
    }
    assert len(header["layers"]) == 4
    for layer in header["layers"]:
        mask = masks[layer["source"], layer["channel"]]
        np.testing.assert_array_equal((labels & layer["bit"]) != 0, mask[:, :, 4].T)


def test_only_chosen_parts_are_sent():
    header, _, labels = unpack(
        pack_slice(
            small_volume(),
            plane="axial",
            slice_index=4,
            window=LUNG_WINDOW,
            truth=small_truth(),
            overlay=Overlay(channels=("infection",)),
        )
    )
    assert [layer["channel"] for layer in header["layers"]] == ["infection"]
    assert set(np.unique(labels)) == {0, 2}


def test_truth_without_a_lung_mask_marks_the_infection_alone():
    truth = MaskPair(lung=None, infection=small_truth().infection)
    header, _, _ = unpack(
        pack_slice(small_volume(), plane="axial", slice_index=4, window=LUNG_WINDOW, truth=truth)
    )
    assert [layer["channel"] for layer in header["layers"]] == ["infection"]


def test_grey_values_arrive_on_the_assumed_hu_scale_and_say_so():
    volume = small_volume(grey=True)
    header, values, _ = unpack(pack_slice(volume, plane="axial", slice_index=2, window=LUNG_WINDOW))
    assert header["unitKnown"] is False
    np.testing.assert_allclose(values, volume.hu(volume.array[:, :, 2].T), atol=0.5)


def test_values_that_are_no_numbers_and_too_large_ones_do_not_break_the_picture():
    array = np.asfortranarray(small_volume().array.astype(np.float32))
    array[0, 0, 0], array[1, 0, 0], array[2, 0, 0] = np.nan, np.inf, -1e9
    volume = replace(small_volume(), array=array)
    _, values, _ = unpack(pack_slice(volume, plane="axial", slice_index=0, window=LUNG_WINDOW))
    assert values[0, 0] == -1024
    assert values[0, 1] == 32767
    assert values[0, 2] == -32768


def test_a_nominal_spacing_gets_no_scale_bar():
    known, _, _ = unpack(
        pack_slice(small_volume(), plane="axial", slice_index=0, window=LUNG_WINDOW)
    )
    nominal, _, _ = unpack(
        pack_slice(small_volume(nominal=True), plane="axial", slice_index=0, window=LUNG_WINDOW)
    )
    assert known["scaleBar"] is True
    assert nominal["scaleBar"] is False


def test_stamp_and_slice_number_reach_the_picture():
    header, _, _ = unpack(
        pack_slice(
            small_volume(), plane="axial", slice_index=7, window=LUNG_WINDOW, stamp="SYNTHETIC"
        )
    )
    assert header["stamp"] == "SYNTHETIC"
    assert (header["slice"], header["count"]) == (8, 8)
