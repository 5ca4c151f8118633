"""Volumes in formats other than NIfTI and DICOM, as scans and as masks."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from core.errors import LoadError, LungLensError
from core.loading import load_mask, open_study, recognise
from tests.scans import chest_hu, small_affine

_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def oblique() -> np.ndarray:
    angle = np.deg2rad(12)
    turn = np.eye(4)
    turn[:3, :3] = [
        [np.cos(angle), -np.sin(angle), 0],
        [np.sin(angle), np.cos(angle), 0],
        [0, 0, 1],
    ]
    return turn @ small_affine()


def itk_image(array: np.ndarray, affine: np.ndarray) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    lps = _TO_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


@pytest.mark.parametrize("affine", [small_affine(), oblique()], ids=["straight", "oblique"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("ending", ["nrrd", "nhdr", "mha", "mhd"])
def test_what_itk_writes_is_read_as_itk_reads_it(
    ending: str, packed: bool, affine: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"scan.{ending}"
    SimpleITK.WriteImage(itk_image(chest_hu(), affine), str(path), packed)
    study = open_study(path)
    np.testing.assert_array_equal(study.volume.array, chest_hu())
    np.testing.assert_allclose(study.volume.affine, affine, atol=1e-4)
    assert study.volume.unit == "HU"
    assert study.volume.source.name == "scan"
    assert study.volume.source.format == ("nrrd" if "n" in ending else "metaimage")
    # The folder, and the files together as a browser sends them, hold the same scan.
    for other in (tmp_path, sorted(tmp_path.iterdir())):
        np.testing.assert_array_equal(open_study(other).volume.array, chest_hu())
    lung = (chest_hu() < -700).astype(np.uint8)
    mask = tmp_path / f"lung.{ending}"
    SimpleITK.WriteImage(itk_image(lung, affine), str(mask), packed)
    np.testing.assert_array_equal(load_mask(mask, study.volume), lung == 1)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("ending", ["nrrd", "mha"])
def test_types_of_voxels(ending: str, kind: str, tmp_path: Path) -> None:
    hu = chest_hu()
    stored = np.clip(hu + 1024, 0, None) if kind.startswith("u") else hu
    stored = stored // 16 if kind == "uint8" else stored
    path = tmp_path / f"scan.{ending}"
    SimpleITK.WriteImage(itk_image(stored.astype(kind), small_affine()), str(path))
    array = open_study(path).volume.array
    wanted = stored if kind == "uint8" else (stored - 1024 if kind == "uint16" else stored)
    np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize(
    ("kind", "half"),
    [
        (nib.Nifti1Pair, "hdr"),
        (nib.Nifti1Pair, "img"),
        (nib.AnalyzeImage, "hdr"),
        (nib.AnalyzeImage, "img"),
    ],
)
def test_pairs_of_header_and_voxels(kind: type, half: str, tmp_path: Path) -> None:
    nib.save(kind(chest_hu(), small_affine()), tmp_path / "scan.img")
    volume = open_study(tmp_path / f"scan.{half}").volume
    values = np.sort(volume.array, axis=None)
    np.testing.assert_array_equal(values, np.sort(chest_hu(), axis=None))
    assert volume.spacing_mm == pytest.approx((1.5, 1.5, 5.0))
    if kind is nib.Nifti1Pair:
        np.testing.assert_array_equal(volume.array, chest_hu())
    else:
        assert any("left and right, front and back are assumed" in w for w in volume.warnings)
    np.testing.assert_array_equal(open_study(tmp_path).volume.array, volume.array)


@pytest.mark.parametrize("where", [(0,), (3,), (0, 1)], ids=["first", "last", "batch and channel"])
@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_axes_of_one_are_left_out(ending: str, where: tuple[int, ...], tmp_path: Path) -> None:
    array = np.pad(chest_hu(), ((0, 0), (4, 4), (0, 0)))
    path = tmp_path / f"x{ending}"
    stored = np.expand_dims(array.transpose(2, 1, 0), where)
    if ending == ".npy":
        np.save(path, stored)
    else:
        np.savez(path, scan=stored)
    np.testing.assert_array_equal(open_study(path).volume.array, array)


@pytest.mark.parametrize(
    "array",
    [
        np.ascontiguousarray(np.pad(chest_hu(), ((0, 0), (4, 4), (0, 0))).transpose(2, 1, 0)),
        np.ascontiguousarray(np.pad(chest_hu(), ((0, 0), (4, 4), (0, 0)))),
        np.asfortranarray(np.pad(chest_hu(), ((0, 0), (4, 4), (0, 0)))),
    ],
    ids=["slices first", "slices last", "slices last, Fortran"],
)
@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_numpy_arrays_say_what_is_not_known(ending: str, array: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / f"scan{ending}"
    if ending == ".npy":
        np.save(path, array)
    else:
        np.savez_compressed(path, image=array, spacing=np.ones(3))
    volume = open_study(path).volume
    np.testing.assert_array_equal(volume.array, np.pad(chest_hu(), ((0, 0), (4, 4), (0, 0))))
    assert volume.spacing_nominal
    assert any("spacing, volumes in ml, left and right are not known" in w for w in volume.warnings)


CHEST = np.pad(chest_hu(), ((0, 0), (4, 4), (0, 0)))
"""Square slices, so that the order of axes is seen."""
LUNG = (CHEST < -500) & (np.indices(CHEST.shape)[0] > 8) & (np.indices(CHEST.shape)[0] < 40)
INFECTION = np.zeros(CHEST.shape, dtype=np.uint8)
INFECTION[20:26, 16:22, 3:6] = 1


@pytest.mark.parametrize(
    ("arrays", "marked"),
    [
        ({"image": CHEST, "lung": LUNG}, {"lung": LUNG}),
        ({"ct": CHEST, "Infection_Mask": INFECTION}, {"infection": INFECTION}),
        (
            {"x": CHEST, "lungs": LUNG, "lesion": INFECTION, "spacing": np.ones(3)},
            {"lung": LUNG, "infection": INFECTION},
        ),
        (
            {"arr_0": np.where(INFECTION > 0, 3, LUNG).astype(np.int64), "arr_1": CHEST},
            {"lung": LUNG | (INFECTION > 0), "infection": INFECTION},
        ),
    ],
    ids=["lung", "infection", "both", "combined, without names"],
)
def test_arrays_of_labels_are_masks(
    arrays: dict[str, np.ndarray], marked: dict[str, np.ndarray], tmp_path: Path
) -> None:
    np.savez_compressed(tmp_path / "case.npz", **arrays)
    study = open_study(tmp_path / "case.npz")
    assert study.case_id == study.volume.source.name == "case"
    assert study.truth is not None
    for role in ("lung", "infection"):
        found = getattr(study.truth, role)
        if role not in marked:
            assert found is None
            continue
        only = tmp_path / f"{role}.npz"
        np.savez(only, image=np.where(marked[role], 2345, CHEST).astype(np.int16))
        np.testing.assert_array_equal(found, open_study(only).volume.array == 2345)


def _save(path: Path, array: object) -> None:
    np.save(path, np.array(array), allow_pickle=True)


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "objects": ("x.npy", lambda p: _save(p, [{"a": 1}]), "Python objects"),
    "one axis": ("x.npy", lambda p: _save(p, [1, 2, 3]), "is not a volume"),
    "cut npy": ("x.npy", lambda p: p.write_bytes(b"\x93NUMPY\1\0"), "damaged or cut short"),
    "two volumes": (
        "x.npz",
        lambda p: np.savez(p, a=chest_hu(), b=chest_hu()),
        r"several scans: got a\.npy, b\.npy",
    ),
    "bzip2": ("x.nii.bz2", lambda p: p.write_bytes(bz2.compress(b"x")), "packed by bzip2"),
    "7z": ("x.7z", lambda p: p.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(99)), "a 7z archive"),
    "rar": ("x.rar", lambda p: p.write_bytes(b"Rar!\x1a\x07\1\0" + bytes(99)), "a RAR archive"),
    "raw": ("x.raw", lambda p: p.write_bytes(bytes(999)), r"open its header \(\.mhd"),
    "mhd alone": (
        "x.mhd",
        lambda p: p.write_text(
            "ObjectType = Image\nNDims = 3\nDimSize = 48 40 8\nElementType = MET_SHORT\n"
            "ElementDataFile = x.raw\n"
        ),
        r"x\.mhd is a header without its voxels: got no file x\.raw beside it",
    ),
    "a path to elsewhere": (
        "x.mhd",
        lambda p: p.write_text(
            "ObjectType = Image\nNDims = 3\nDimSize = 48 40 8\nElementType = MET_SHORT\n"
            "ElementDataFile = /etc/../etc/passwd\n"
        ),
        "no file passwd beside it",
    ),
    "vast mha": (
        "x.mha",
        lambda p: p.write_text(
            "ObjectType = Image\nNDims = 3\nDimSize = 90000 90000 90000\n"
            "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
        ),
        "too large to open",
    ),
    "short mha": (
        "x.mha",
        lambda p: p.write_text(
            "ObjectType = Image\nNDims = 3\nDimSize = 64 64 9\n"
            "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
        ),
        "damaged or cut short",
    ),
    "colours": (
        "x.nrrd",
        lambda p: p.write_text(
            "NRRD0004\ntype: short\ndimension: 4\nsizes: 3 48 40 8\nencoding: raw\n\n"
        ),
        "several frames, channels or layers",
    ),
    "text nrrd": (
        "x.nrrd",
        lambda p: p.write_text(
            "NRRD0004\ntype: short\ndimension: 3\nsizes: 48 40 8\nencoding: text\n\n1 2"
        ),
        "expected raw, gzip or bzip2",
    ),
    "nrrd that is none": ("x.nrrd", lambda p: p.write_bytes(bytes(99)), "is not an NRRD file"),
    "packed junk": (
        "x.nrrd",
        lambda p: p.write_bytes(
            b"NRRD0004\ntype: short\ndimension: 3\nsizes: 48 40 8\nencoding: gzip\n\n"
            + bytes(range(256)) * 99
        ),
        "damaged or cut short",
    ),
    "gzipped twice": (
        "x.nii.gz",
        lambda p: p.write_bytes(gzip.compress(gzip.compress(b"x" * 999))),
        "a second layer of gzip",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_one_sentence_for_what_cannot_be_opened(kind: str, tmp_path: Path) -> None:
    name, make, sentence = BAD[kind]
    make(tmp_path / name)
    with pytest.raises(LungLensError, match=sentence):
        open_study(tmp_path / name)


def test_half_of_a_pair_alone(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(chest_hu(), small_affine()), tmp_path / "scan.img")
    (tmp_path / "scan.img").unlink()
    with pytest.raises(LoadError, match=r"one half of a \.hdr/\.img pair.*open them together"):
        open_study(tmp_path / "scan.hdr")


def test_one_slice_of_two_axes(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(chest_hu()[:, :, 4], small_affine()), tmp_path / "slice.nii.gz")
    volume = open_study(tmp_path / "slice.nii.gz").volume
    np.testing.assert_array_equal(volume.array[:, :, 0], chest_hu()[:, :, 4])
    assert any("single slice" in warning for warning in volume.warnings)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".npy", ".hdr"])
def test_volume_files_are_one_kind(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"scan{ending}"
    if ending == ".npy":
        np.save(path, chest_hu())
    elif ending == ".hdr":
        nib.save(nib.AnalyzeImage(chest_hu(), small_affine()), path)
    else:
        SimpleITK.WriteImage(itk_image(chest_hu(), small_affine()), str(path))
    assert recognise(path) == "nifti"
