"""Small scans whose every voxel is known, written as NIfTI, DICOM or pictures."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

Array = npt.NDArray[Any]

SHAPE = (48, 40, 8)


def chest_hu(shape: tuple[int, int, int] = SHAPE, *, seed: int = 0) -> npt.NDArray[np.int16]:
    """(i, j, k) along L, P, S: air, a body of soft tissue, two lungs, a heart on the left side.

    No symmetry in any axis: every flip or exchange of axes changes the picture.
    """
    i, j, k = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    hu = np.full(shape, -1000.0)
    hu[(i / 0.92) ** 2 + (j / 0.85) ** 2 < 1] = 40.0
    for side in (-1, 1):
        hu[((i - side * 0.42) / 0.3) ** 2 + ((j + 0.05) / 0.6) ** 2 < 1] = -850.0
    hu[((i - 0.2) / 0.22) ** 2 + ((j + 0.25) / 0.25) ** 2 + ((k + 0.4) / 0.8) ** 2 < 1] = 60.0
    hu[(np.abs(i) < 0.1) & (np.abs(j - 0.62) < 0.12)] = 700.0
    hu += np.random.default_rng(seed).normal(0, 15, shape)
    return np.rint(hu).astype(np.int16)


def small_affine() -> npt.NDArray[np.float64]:
    """(4, 4) axes L, P, S with 1.5×1.5×5 mm."""
    affine = np.diag([-1.5, -1.5, 5.0, 1.0])
    affine[:3, 3] = (30.0, 25.0, -120.0)
    return affine


def nifti_bytes(
    array: Array,
    affine: npt.NDArray[np.float64] | None = None,
    *,
    header: Mapping[str, Any] | None = None,
) -> bytes:
    """An unpacked `.nii` file; `header` overwrites fields as they lie in the file."""
    image = nib.Nifti1Image(array, small_affine() if affine is None else affine)
    content = bytearray(image.to_bytes())
    raw = nib.Nifti1Header(bytes(content[:348]), check=False)
    for field, value in (header or {}).items():
        raw[field] = value
    content[:348] = raw.binaryblock
    return bytes(content)


def png_bytes(pixels: Array, ending: str = ".png") -> bytes:
    """A picture file of (rows, columns) or (rows, columns, BGR)."""
    import cv2

    done, packed = cv2.imencode(ending, pixels)
    assert done
    return bytes(packed.tobytes())


def chest_picture(*, k: int = 4) -> npt.NDArray[np.uint8]:
    """(rows, columns) uint8, the lung window of one slice of `chest_hu`, upright."""
    grey = (chest_hu()[:, :, k].T.astype(np.float32) + 1250) / 1500 * 255
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def zip_bytes(entries: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    """A deflated zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return packed.getvalue()


def dicom_series(
    hu: Array,
    *,
    origin: tuple[float, float, float] = (-30.0, -25.0, -120.0),
    rows_along: tuple[float, float, float] = (1.0, 0.0, 0.0),
    columns_along: tuple[float, float, float] = (0.0, 1.0, 0.0),
    step: tuple[float, float, float] = (0.0, 0.0, 5.0),
    pixel_mm: tuple[float, float] = (1.5, 1.5),
    slope: float = 1.0,
    intercept: float = -1024.0,
    series_uid: str | None = None,
    **tags: Any,
) -> list[Dataset]:
    """One dataset for each hu[:, :, k] (columns, rows), at LPS `origin + k * step`.

    Args:
        rows_along: LPS direction in which the column index grows (along a row).
        columns_along: LPS direction in which the row index grows (down a column).
        pixel_mm: distance between rows, between columns.
        tags: further tags for every slice.
    """
    uid = series_uid or generate_uid()
    datasets = []
    for k in range(hu.shape[2]):
        stored = np.rint((hu[:, :, k].T.astype(np.float64) - intercept) / slope)
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.SeriesInstanceUID = uid
        dataset.SeriesDescription = "Thorax 5.0"
        dataset.PatientName = "Secret^Name"
        dataset.PatientID = "SECRET-ID"
        dataset.Modality = "CT"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.InstanceNumber = k + 1
        dataset.ImagePositionPatient = [round(float(origin[a] + k * step[a]), 6) for a in range(3)]
        dataset.ImageOrientationPatient = [*rows_along, *columns_along]
        dataset.PixelSpacing = list(pixel_mm)
        dataset.SliceThickness = round(float(np.linalg.norm(step)), 6)
        dataset.Rows, dataset.Columns = stored.shape
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit = 15
        dataset.PixelRepresentation = 1
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        dataset.PixelData = np.clip(stored, -32768, 32767).astype("<i2").tobytes()
        for name, value in tags.items():
            setattr(dataset, name, value)
        datasets.append(dataset)
    return datasets


def write_dicom(
    datasets: Iterable[Dataset], folder: Path, *, ending: str = ".dcm", prefix: str = "IM"
) -> Path:
    """Writes datasets to a folder as numbered files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets):
        path = folder / f"{prefix}{number:04d}{ending}"
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return folder
