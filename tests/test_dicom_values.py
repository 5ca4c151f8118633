"""What DICOM headers say of the values: greys, rescale and geometry that cannot be."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from core.errors import LoadError
from core.loading import load_dicom
from tests.scans import chest_hu, dicom_series, write_dicom


def _negative(
    hu: np.ndarray, *, bits: int, signed: bool, slope: float = 1.0, intercept: float | None
) -> list[Dataset]:
    """MONOCHROME1 slices whose stored values fall where HU rise."""
    datasets = dicom_series(hu)
    for k, dataset in enumerate(datasets):
        stored = (hu[:, :, k].T - (intercept or 0)) / slope
        highest = -1 if signed else (1 << bits) - 1
        dataset.PixelData = (highest - stored).astype("<i2" if signed else "<u2").tobytes()
        dataset.PixelRepresentation = int(signed)
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PhotometricInterpretation = "MONOCHROME1"
        if intercept is None:
            del dataset.RescaleSlope, dataset.RescaleIntercept
        else:
            dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    return datasets


@pytest.mark.parametrize(
    "how",
    [
        {"bits": 12, "signed": False, "intercept": -1024.0},
        {"bits": 16, "signed": False, "intercept": -1024.0},
        {"bits": 16, "signed": False, "slope": 0.5, "intercept": -1024.0},
        {"bits": 16, "signed": True, "intercept": 0.0},
        {"bits": 16, "signed": True, "intercept": None},
    ],
    ids=["12 bits", "16 bits", "slope", "signed", "no rescale"],
)
def test_a_negative_is_turned(how: dict[str, Any], tmp_path: Path) -> None:
    hu = chest_hu().clip(-1024, 2000)
    volume = load_dicom(write_dicom(_negative(hu, **how), tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, hu)
    assert any("stored as a negative (MONOCHROME1)" in text for text in volume.warnings)


def test_hu_that_are_to_be_shown_as_a_negative_stay(tmp_path: Path) -> None:
    """By the standard MONOCHROME1 speaks of the display, and rescaled values are HU."""
    datasets = dicom_series(chest_hu(), PhotometricInterpretation="MONOCHROME1")
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert volume.warnings == ()


def test_padding_of_a_negative_is_air(tmp_path: Path) -> None:
    hu = chest_hu().clip(-1024, 2000)
    hu[:6, :6] = -2000
    datasets = _negative(hu, bits=16, signed=True, intercept=0.0)
    for dataset in datasets:
        dataset.add_new(0x00280120, "SS", 1999)
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    assert (volume.array[:6, :6] == -1024).all()
    np.testing.assert_array_equal(volume.array[6:], hu[6:])


@pytest.mark.parametrize("rescale", [None, (1, 0)], ids=["no rescale", "an empty one"])
def test_a_capture_of_8_bits_is_the_same_either_way(
    rescale: tuple[int, int] | None, tmp_path: Path
) -> None:
    grey = ((chest_hu().clip(-1350, 150) + 1350) / 1500 * 255).astype(np.uint8)
    arrays = []
    for photometric in ("MONOCHROME2", "MONOCHROME1"):
        datasets = dicom_series(chest_hu(), PhotometricInterpretation=photometric)
        for k, dataset in enumerate(datasets):
            shown = grey[:, :, k].T
            stored = 255 - shown if photometric == "MONOCHROME1" else shown
            dataset.PixelData = np.ascontiguousarray(stored).tobytes()
            dataset.BitsAllocated = dataset.BitsStored = 8
            dataset.HighBit, dataset.PixelRepresentation = 7, 0
            if rescale is None:
                del dataset.RescaleSlope, dataset.RescaleIntercept
            else:
                dataset.RescaleSlope, dataset.RescaleIntercept = rescale
        arrays.append(load_dicom(write_dicom(datasets, tmp_path / photometric)).array)
    np.testing.assert_array_equal(*arrays)
    assert (arrays[0] == grey).all()


def _in_colour(photometric: str, *, planar: bool, mark: bool = False) -> tuple[Any, list[Dataset]]:
    """The grey (i, j, k) of a chest, and the same as slices of three values per pixel."""
    grey = ((chest_hu().clip(-1350, 150) + 1350) / 1500 * 255).astype(np.uint8)
    datasets = dicom_series(chest_hu(), PhotometricInterpretation=photometric, SamplesPerPixel=3)
    for k, dataset in enumerate(datasets):
        other = np.full_like(grey[:, :, k].T, 128)
        others = [grey[:, :, k].T] * 2 if photometric == "RGB" else [other] * 2
        pixels = np.stack([grey[:, :, k].T, *others], axis=-1)
        if mark:
            pixels[2:5, 2:9] = (255, 0, 0)
        stored = pixels.transpose(2, 0, 1) if planar else pixels
        dataset.PixelData = np.ascontiguousarray(stored).tobytes()
        dataset.PlanarConfiguration = int(planar)
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        del dataset.RescaleSlope, dataset.RescaleIntercept
    return grey, datasets


@pytest.mark.parametrize("planar", [False, True], ids=["pixels", "planes"])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_grey_in_three_values_per_pixel_is_read(
    photometric: str, planar: bool, tmp_path: Path
) -> None:
    grey, datasets = _in_colour(photometric, planar=planar)
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, grey)


def test_colours_are_refused(tmp_path: Path) -> None:
    _, datasets = _in_colour("RGB", planar=False, mark=True)
    with pytest.raises(LoadError, match=r"in colour: got 3 values per pixel \(RGB\)"):
        load_dicom(write_dicom(datasets, tmp_path / "series"))


@pytest.mark.parametrize("tag", ["PhotometricInterpretation", "SamplesPerPixel", "BitsStored"])
def test_a_tag_that_has_one_likely_value_may_be_missing(tag: str, tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu())
    for dataset in datasets:
        delattr(dataset, tag)
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())


@pytest.mark.parametrize(
    ("tags", "sentence"),
    [
        (
            {"PhotometricInterpretation": "PALETTE COLOR"},
            "The pictures are in colour: got 1 value per pixel .PALETTE COLOR.",
        ),
        ({"PixelSpacing": [-0.7, 0.7]}, "pixel spacing of a slice cannot be right"),
        ({"PixelSpacing": [0, 0.7]}, "pixel spacing of a slice cannot be right"),
        ({"PixelSpacing": ["1e30", "1e30"]}, "pixel spacing of a slice cannot be right"),
        ({"ImagePositionPatient": ["1e308", 0, 0]}, "position of a slice cannot be right"),
        ({"ImagePositionPatient": [0, 0, "-1e308"]}, "position of a slice cannot be right"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "orientation cannot be used"),
        ({"ImageOrientationPatient": ["1e200", 0, 0, 0, 1, 0]}, "orientation cannot be used"),
        ({"RescaleSlope": "1e300"}, "rescale values of a slice cannot be right"),
        ({"RescaleSlope": 0}, "rescale values of a slice cannot be right"),
        ({"RescaleIntercept": "-1e300"}, "rescale values of a slice cannot be right"),
        ({"RescaleSlope": "1e9", "RescaleIntercept": "1e18"}, "rescale values of a slice"),
    ],
)
@pytest.mark.parametrize("where", ["one slice", "all slices"])
def test_values_that_cannot_be(
    tags: dict[str, Any], sentence: str, where: str, tmp_path: Path
) -> None:
    datasets = dicom_series(chest_hu())
    for dataset in datasets[2:3] if where == "one slice" else datasets:
        for name, value in tags.items():
            setattr(dataset, name, value)
    with pytest.raises(LoadError, match=sentence):
        load_dicom(write_dicom(datasets, tmp_path / "series"))


@pytest.mark.parametrize("name", ["RescaleSlope", "RescaleIntercept"])
@pytest.mark.parametrize("value", [b"nan ", b"inf "])
def test_rescale_that_is_no_number(name: str, value: bytes, tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu(), **{name: "7777"})
    folder = write_dicom(datasets, tmp_path / "series")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"7777", value))
    with pytest.raises(LoadError, match="rescale values of a slice cannot be right"):
        load_dicom(folder)


@pytest.mark.parametrize("thickness", ["1e30", "-5", "0"])
def test_a_thickness_that_cannot_be_is_not_known(thickness: str, tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu()[:, :, :1], SliceThickness=thickness)
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    assert volume.spacing_nominal


def _half_the_rows(dataset: Dataset) -> None:
    dataset.Rows //= 2


def _half_the_bits(dataset: Dataset) -> None:
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7


@pytest.mark.parametrize("change", [_half_the_rows, _half_the_bits])
def test_half_of_a_file_is_not_ignored(change: Callable[[Dataset], None], tmp_path: Path) -> None:
    datasets = dicom_series(chest_hu())
    for dataset in datasets:
        change(dataset)
    with pytest.raises(LoadError, match="pixels do not fit its header"):
        load_dicom(write_dicom(datasets, tmp_path / "series"))


@pytest.mark.parametrize("kept", [200, 330, 420, 500, 600, 700, 800])
def test_a_slice_cut_inside_its_header_is_not_dropped(kept: int, tmp_path: Path) -> None:
    folder = write_dicom(dicom_series(chest_hu()), tmp_path / "series")
    cut = folder / "IM0003.dcm"
    cut.write_bytes(cut.read_bytes()[:kept])
    with pytest.raises(LoadError, match=r"A DICOM file (is damaged|has no pixel data)"):
        load_dicom(folder)


def test_a_slice_cut_inside_its_pixels_is_reported(tmp_path: Path) -> None:
    folder = write_dicom(dicom_series(chest_hu()), tmp_path / "series")
    cut = folder / "IM0003.dcm"
    cut.write_bytes(cut.read_bytes()[:-1000])
    with pytest.raises(LoadError, match="A slice is cut off: got fewer pixels than its header"):
        load_dicom(folder)


def _deflated(folder: Path) -> Path:
    datasets = dicom_series(chest_hu())
    for dataset in datasets:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return write_dicom(datasets, folder)


def test_deflated_files_are_read(tmp_path: Path) -> None:
    volume = load_dicom(_deflated(tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert volume.spacing_mm == pytest.approx((1.5, 1.5, 5.0))


def test_a_deflated_file_that_does_not_end_is_refused(tmp_path: Path) -> None:
    folder = _deflated(tmp_path / "series")
    path = folder / "IM0002.dcm"
    data = path.read_bytes()
    start = 132 + 12 + int(pydicom.filereader.read_file_meta_info(path)[0x00020000].value)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    more = zlib.decompress(data[start:], -zlib.MAX_WBITS) + b"\0" * 80 * 1024**2
    path.write_bytes(data[:start] + packer.compress(more) + packer.flush())
    with pytest.raises(LoadError, match=r"A slice cannot be decoded|is damaged"):
        load_dicom(folder)
    path.write_bytes(data[: start + 200])
    with pytest.raises(LoadError, match=r"is damaged|cannot be decoded"):
        load_dicom(folder)
