"""Broken and hostile inputs, each with the sentence a person should get.

Loading is tested with the whole table; the command line and the app, which only pass its sentences
on, with `REPRESENTATIVES`.
"""

from __future__ import annotations

import gzip
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from core.errors import GeometryError, LoadError
from core.loading.dicom.headers import NoPictureError
from core.loading.dicom.series import SeveralSeriesError
from core.loading.intensity import UnknownScaleError
from core.loading.masks_beside import SeveralScansError
from tests.scans import (
    SHAPE,
    chest_hu,
    chest_picture,
    dicom_series,
    nifti_bytes,
    png_bytes,
    small_affine,
    write_dicom,
    zip_bytes,
)


@dataclass(frozen=True)
class BadInput:
    """One input that must be refused.

    Attributes:
        name: for the test's id.
        make: writes the input below a folder and returns the path to open.
        message: how the sentence begins, or its heart: what went wrong.
        parts: further words it must hold: what was got, what was expected, what to do.
    """

    name: str
    make: Callable[[Path], Path]
    message: str
    parts: tuple[str, ...] = ()

    def build(self, folder: Path) -> Path:
        """Writes the input below `folder`."""
        return self.make(folder)


@dataclass(frozen=True)
class BadMask:
    """A mask that does not belong to a good scan; `make` returns the paths of both."""

    name: str
    make: Callable[[Path], tuple[Path, Path]]
    message: str
    parts: tuple[str, ...] = ()

    def build(self, folder: Path) -> tuple[Path, Path]:
        """Writes scan and mask below `folder`."""
        return self.make(folder)


@dataclass(frozen=True)
class OddInput:
    """An input that opens, with a warning that must hold all of `warning`."""

    name: str
    make: Callable[[Path], Path]
    warning: tuple[str, ...]

    def build(self, folder: Path) -> Path:
        """Writes the input below `folder`."""
        return self.make(folder)


# --- builders --------------------------------------------------------------------------------

Make = Callable[[Path], Path]


def _file(name: str, content: Callable[[], bytes]) -> Make:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content())
        return path

    return make


def _nii(array: Callable[[], Any], name: str = "scan.nii.gz", **header: Any) -> Make:
    """A NIfTI file with header fields overwritten."""

    def content() -> bytes:
        plain = nifti_bytes(array(), header=header)
        return gzip.compress(plain) if name.endswith(".gz") else plain

    return _file(name, content)


def _packed_chest() -> bytes:
    return gzip.compress(nifti_bytes(chest_hu()))


def _with_share(value: float, share: float) -> np.ndarray:
    """The small chest with that share of its voxels, away from the edge of the slices, changed."""
    array = chest_hu().astype(np.float32)
    inside = array[2:-2, 2:-2].copy()
    inside.ravel()[: round(array.size * share)] = value
    array[2:-2, 2:-2] = inside
    return array


def _mr() -> np.ndarray:
    """Non-negative, skewed, without the narrow peak of soft tissue at 1024 + 40."""
    rng = np.random.default_rng(1)
    array = np.abs(rng.normal(0, 30, SHAPE))
    array[10:40, 5:35] = rng.gamma(4.0, 140.0, (30, 30, SHAPE[2]))
    return array.astype(np.int16)


def _rgb() -> np.ndarray:
    return np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])


def _claiming(*dims: int) -> Callable[[], bytes]:
    """A small gzip whose header claims a large volume."""

    def content() -> bytes:
        dim = np.array([3, *dims, 1, 1, 1, 1], dtype=np.int16)
        return gzip.compress(nifti_bytes(chest_hu(), header={"dim": dim}))

    return content


def _pair_header() -> bytes:
    return nifti_bytes(chest_hu(), header={"magic": b"ni1"})


def _bad_checksum() -> bytes:
    packed = bytearray(_packed_chest())
    packed[-8] ^= 0xFF
    return bytes(packed)


def _gzip_bomb() -> bytes:
    return gzip.compress(nifti_bytes(chest_hu()) + bytes(64 * 1024**2))


def _zip(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> Make:
    return _file("scan.zip", lambda: zip_bytes(entries))


def _zip_link() -> bytes:
    info = zipfile.ZipInfo("scan.nii.gz")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zip_bytes([(info, b"/etc/hostname")])


def _zip_encrypted() -> bytes:
    content = bytearray(zip_bytes([("scan.nii.gz", _packed_chest())]))
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def _zip_lying() -> bytes:
    """The directory declares ten bytes of an entry that holds a megabyte."""
    content = bytearray(zip_bytes([("scan.nii", bytes(1024**2))]))
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 10)
    return bytes(content)


def _zip_damaged() -> bytes:
    content = bytearray(zip_bytes([("scan.nii", np.random.default_rng(0).bytes(5000))]))
    content[200:1200] = bytes(1000)
    return bytes(content)


def _zip_crowd() -> bytes:
    return zip_bytes((f"{number}.dcm", b"") for number in range(5001))


def _series(change: Callable[[list[Any]], Any] = lambda datasets: datasets, **tags: Any) -> Make:
    """A DICOM folder after `change` to its datasets."""

    def make(folder: Path) -> Path:
        return write_dicom(change(dicom_series(chest_hu(), **tags)), folder / "series")

    return make


def _without_pixels(datasets: list[Any]) -> list[Any]:
    for dataset in datasets:
        del dataset.PixelData
    return datasets


def _two_series(datasets: list[Any]) -> list[Any]:
    return datasets + dicom_series(chest_hu(seed=1), SeriesDescription="Bone <b>7.0</b>")


def _doubled(datasets: list[Any]) -> list[Any]:
    other = dicom_series(chest_hu(seed=1), series_uid=datasets[0].SeriesInstanceUID)
    return [*datasets, other[3]]


def _one_smaller(datasets: list[Any]) -> list[Any]:
    small = dicom_series(chest_hu((32, 24, 8)), series_uid=datasets[0].SeriesInstanceUID)
    return [*datasets[:4], *small[4:]]


def _short_pixels(datasets: list[Any]) -> list[Any]:
    datasets[2].PixelData = datasets[2].PixelData[:100]
    return datasets


def _flat_orientation(datasets: list[Any]) -> list[Any]:
    for dataset in datasets:
        dataset.ImageOrientationPatient = [1, 0, 0, 1, 0, 0]
    return datasets


def _colour_slices(datasets: list[Any]) -> list[Any]:
    for dataset in datasets:
        dataset.SamplesPerPixel = 3
    return datasets


def _pictures(**pictures: np.ndarray) -> Make:
    def make(folder: Path) -> Path:
        target = folder / "slices"
        target.mkdir()
        for name, pixels in pictures.items():
            (target / f"{name}.png").write_bytes(png_bytes(pixels))
        return target

    return make


def png_claiming(columns: int, rows: int) -> bytes:
    """A small PNG whose header claims many pixels."""
    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data
        content += struct.pack(">I", zlib.crc32(kind + data))
    return content


def _photograph() -> np.ndarray:
    rows, columns = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    return np.dstack([rows * 4, 255 - rows * 4, columns * 4]).astype(np.uint8)


def _empty_folder(folder: Path) -> Path:
    path = folder / "nothing"
    path.mkdir()
    return path


def _case_folder(folder: Path) -> Path:
    for number in (1, 2):
        path = folder / "set" / "ct_scans" / f"coronacases_org_00{number}.nii"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(nifti_bytes(chest_hu()))
    return folder / "set"


def _set_with_table(table: str) -> Make:
    """A set of two cases whose metadata.csv holds `table`."""

    def make(folder: Path) -> Path:
        place = _case_folder(folder)
        (place / "metadata.csv").write_text(table)
        return place

    return make


def _analyze_header() -> bytes:
    """The header of an Analyze 7.5 pair, which has no magic."""
    return nifti_bytes(chest_hu(), header={"magic": b""})[:348]


def _singular() -> dict[str, Any]:
    return {"sform_code": 1, "srow_x": [1, 0, 0, 0], "srow_y": [1, 0, 0, 0]}


_NOT_NIFTI = "is not a NIfTI image"

BAD_INPUTS: tuple[BadInput, ...] = (
    # files cut, renamed or empty
    BadInput(
        "truncated gzip",
        _file("scan.nii.gz", lambda: _packed_chest()[:9000]),
        "scan.nii.gz is damaged or cut short",
        ("gzip stream that ends early", "a complete NIfTI file", "download it again"),
    ),
    BadInput(
        "gzip cut in its header",
        _file("scan.nii.gz", lambda: _packed_chest()[:12]),
        "is damaged or cut short",
        ("complete NIfTI file",),
    ),
    BadInput(
        "truncated plain file",
        _file("scan.nii", lambda: nifti_bytes(chest_hu())[:9000]),
        "scan.nii is damaged or cut short",
        ("9000 bytes where the header declares 31072",),
    ),
    BadInput(
        "wrong checksum", _file("scan.nii.gz", _bad_checksum), "is damaged", ("its checksum",)
    ),
    BadInput(
        "wrong magic",
        _nii(chest_hu, magic=b"abc"),
        _NOT_NIFTI,
        ("where the NIfTI header should be", "expected a .nii or .nii.gz file"),
    ),
    BadInput("empty file", _file("scan.nii.gz", bytes), "scan.nii.gz is empty", ("0 bytes",)),
    BadInput(
        "text renamed",
        _file("scan.nii.gz", lambda: b"case,volume\n1,2\n" * 100),
        _NOT_NIFTI,
        ("got text", "convert the original DICOM"),
    ),
    BadInput(
        "text in a gzip",
        _file("scan.nii.gz", lambda: gzip.compress(b"dear reader " * 100)),
        _NOT_NIFTI,
        ("got text",),
    ),
    BadInput(
        "header of a pair",
        _file("scan.nii", _pair_header),
        "one half of a .hdr/.img pair",
        ("convert the pair",),
    ),
    # shapes
    BadInput(
        "one axis",
        _nii(lambda: chest_hu()[:, 0, 0]),
        "scan.nii.gz is not a volume",
        ("48", "three axes"),
    ),
    BadInput(
        "several frames",
        _nii(lambda: np.stack([chest_hu()] * 3, axis=3)),
        "holds several frames or channels",
        ("48 × 40 × 8 × 3", "one volume", "open one frame"),
    ),
    BadInput(
        "an axis of length zero",
        _nii(chest_hu, dim=[3, 48, 0, 8, 1, 1, 1, 1]),
        "has an empty axis",
        ("48 × 0 × 8",),
    ),
    BadInput(
        "10^12 voxels",
        _file("scan.nii.gz", _claiming(10_000, 10_000, 10_000)),
        "is too large to open",
        ("10000 × 10000 × 10000 = 1e+12 voxels", "check the header"),
    ),
    BadInput(
        "one endless axis",
        _file("scan.nii.gz", _claiming(32_000, 40, 8)),
        "is too long along one axis",
        ("32000 × 40 × 8",),
    ),
    BadInput(
        "more voxels than the file can hold",
        _file("scan.nii.gz", _claiming(1000, 1000, 300)),
        "is damaged or cut short",
        ("where the header declares 600000352",),
    ),
    BadInput(
        "gzip bomb",
        _file("scan.nii.gz", _gzip_bomb),
        "unpacks to more than its header declares",
        ("8 slices",),
    ),
    BadInput(
        "slices too small",
        _nii(lambda: chest_hu((12, 12, 20))),
        "too small to show a chest",
        ("12 × 12", "16 × 16"),
    ),
    # geometry
    BadInput(
        "zero spacing",
        _nii(chest_hu, pixdim=[1, 1.5, 0, 5, 0, 0, 0, 0]),
        "has no usable spacing",
        ("1.5 × 0 × 5 mm", "above zero", "convert the original DICOM again"),
    ),
    BadInput(
        "singular affine",
        _nii(chest_hu, **_singular()),
        "axes do not span space",
        ("singular affine", "three independent axes"),
    ),
    BadInput(
        "affine of NaN",
        _nii(chest_hu, srow_x=[np.nan, 0, 0, 0]),
        "position in space cannot be read",
        ("finite numbers",),
    ),
    # values
    BadInput(
        "many NaN",
        _nii(lambda: _with_share(np.nan, 0.3)),
        "too many voxels that are not numbers",
        ("NaN or infinite", "at most 0.1\u2009%", "−1024 (air)"),
    ),
    BadInput(
        "many infinite",
        _nii(lambda: _with_share(np.inf, 0.01)),
        "too many voxels that are not numbers",
        ("of 15360",),
    ),
    BadInput(
        "constant",
        _nii(lambda: np.full(SHAPE, 7, np.int16)),
        "holds one value only",
        ("7 in every voxel",),
    ),
    BadInput(
        "magnetic resonance", _nii(_mr), "does not look like CT", ("soft tissue", "chest CT in HU")
    ),
    BadInput(
        "standardised values",
        _nii(lambda: chest_hu().astype(np.float32) / 500),
        "does not look like CT",
        ("values −2",),
    ),
    BadInput(
        "labels as a scan",
        _nii(lambda: (chest_hu() < -500).astype(np.uint8)),
        "holds labels rather than a scan",
        ("2 different values", "as its mask"),
    ),
    BadInput(
        "RGB", _nii(_rgb), "does not hold one number per voxel", ("RGB colours", "a rendering")
    ),
    BadInput(
        "complex numbers",
        _nii(lambda: chest_hu().astype(np.complex64)),
        "does not hold one number per voxel",
        ("complex64",),
    ),
    BadInput(
        "unknown voxel type",
        _nii(chest_hu, datatype=77),
        "has an unknown voxel type",
        ("code 77",),
    ),
    # archives
    BadInput(
        "zip bomb",
        _zip(("scan.nii", bytes(48 * 1024**2))),
        "looks like a decompression bomb",
        ("-fold", "at most 200-fold"),
    ),
    BadInput(
        "zip that lies about sizes",
        _file("scan.zip", _zip_lying),
        "scan.zip",
        ("expected", "zip the scan again"),
    ),
    BadInput(
        "zip with ../",
        _zip(("../../escaped.nii", b"x")),
        "holds paths that lead outside of it",
        ("escaped.nii", "relative names"),
    ),
    BadInput(
        "zip with backslashes",
        _zip(("..\\escaped.nii", b"x")),
        "holds paths that lead outside of it",
        ("escaped.nii",),
    ),
    BadInput(
        "zip with an absolute name",
        _zip(("/tmp/escaped.nii", b"x")),
        "holds paths that lead outside of it",
        ("unsafe path",),
    ),
    BadInput("zip with a link", _file("scan.zip", _zip_link), "holds a link", ("zip the files",)),
    BadInput("encrypted zip", _file("scan.zip", _zip_encrypted), "is encrypted", ("password",)),
    BadInput("empty zip", _zip(), "holds no file", ("an empty archive",)),
    BadInput(
        "damaged zip", _file("scan.zip", _zip_damaged), "cannot be unpacked", ("complete zip",)
    ),
    BadInput(
        "crowded zip",
        _file("scan.zip", _zip_crowd),
        "holds too many files",
        ("5001", "at most 5000"),
    ),
    BadInput(
        "zip without a scan",
        _zip(("notes.txt", b"hello")),
        "Folder scan.zip holds no scan",
        ("1 file",),
    ),
    BadInput(
        "zip of several scans",
        _zip(("a.nii.gz", _packed_chest()), ("b.nii.gz", _packed_chest())),
        "There are several scans",
        ("a.nii.gz, b.nii.gz", "expected one", "unpack a zip first", "a mask is added beside"),
    ),
    # DICOM
    BadInput(
        "DICOM without pixel data",
        _series(_without_pixels),
        "has no pixel data",
        ("a header without a picture", "export the series with its pictures"),
    ),
    BadInput(
        "two series",
        _series(_two_series),
        "The files hold several CT series",
        ("Thorax 5.0, 8 slices", "expected one", "--series UID"),
    ),
    BadInput(
        "two slices at one position",
        _series(_doubled),
        "Two different slices lie at the same position",
        ("slices 4 and 5 of 9", "export one phase"),
    ),
    BadInput(
        "varying size",
        _series(_one_smaller),
        "The slices differ in size",
        ("32 × 24, 48 × 40", "one size"),
    ),
    BadInput("MR modality", _series(Modality="MR"), "The series is not CT", ("modality MR",)),
    BadInput(
        "localizers only",
        _series(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        "hold localizers only",
        ("scout views",),
    ),
    BadInput("slice cut short", _series(_short_pixels), "A slice is cut off", ("fewer pixels",)),
    BadInput("DICOM in colour", _series(_colour_slices), "The pictures are in colour"),
    BadInput(
        "directions that do not span a plane",
        _series(_flat_orientation),
        "orientation cannot be used",
        ("perpendicular",),
    ),
    BadInput(
        "text named .dcm",
        _file("scan.dcm", lambda: b"not a scan" * 50),
        "There is no DICOM picture",
        ("1 file without one",),
    ),
    # pictures
    BadInput(
        "JPG with one pixel",
        _file("slice.jpg", lambda: png_bytes(np.full((1, 1), 9, np.uint8), ".jpg")),
        "slice.jpg is too small to show a chest",
        ("1 × 1 pixels", "at least 16 × 16"),
    ),
    BadInput(
        "pictures of two sizes",
        _pictures(slice1=chest_picture(), slice2=chest_picture()[:-2]),
        "The pictures differ in size",
        ("48 × 38, 48 × 40", "one size"),
    ),
    BadInput(
        "PNG cut short",
        _file("slice.png", lambda: png_bytes(chest_picture())[:600]),
        "slice.png is not a picture that can be read",
        ("expected PNG",),
    ),
    BadInput(
        "JPG cut short",
        _file("slice.jpg", lambda: png_bytes(chest_picture(), ".jpg")[:500]),
        "slice.jpg is not a picture that can be read",
        ("export the slice again",),
    ),
    BadInput(
        "text named .png",
        _file("slice.png", lambda: b"hello"),
        "is not a picture that can be read",
        ("damaged or unknown",),
    ),
    BadInput(
        "PNG that claims a huge picture",
        _file("slice.png", lambda: png_claiming(200_000, 200_000)),
        "slice.png is too large to open",
    ),
    BadInput(
        "PNG that claims a large picture",
        _file("slice.png", lambda: png_claiming(12_000, 12_000)),
        "slice.png is too large to open",
        ("expected one CT slice", "in the size of the scan"),
    ),
    BadInput(
        "photograph",
        _file("photo.png", lambda: png_bytes(_photograph())),
        "is a colour picture, not a CT slice",
        ("coloured pixels", "expected grey"),
    ),
    BadInput(
        "blank picture",
        _file("slice.png", lambda: png_bytes(np.full((64, 64), 128, np.uint8))),
        "holds one value only",
    ),
    BadInput(
        "EPS that calls itself PNG",
        _file("slice.png", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EOF\n"),
        "slice.png",
        ("expected",),
    ),
    # tables
    BadInput(
        "table with a cell without end",
        _set_with_table('ct_scan\n"' + "x" * 200_000),
        "metadata.csv cannot be used",
        ("not a line of a table", "columns"),
    ),
    BadInput(
        "table of a million rows",
        _set_with_table("ct_scan\n" + "a\n" * 1_000_000),
        "metadata.csv has too many rows",
        ("more than 10000", "several folders"),
    ),
    BadInput(
        "table of other columns",
        _set_with_table("name\nx\n"),
        "metadata.csv cannot be used",
        ("no column ct_scan",),
    ),
    # names
    BadInput(
        "name of emoji",
        _file("\U0001f600" * 60 + ".nii.gz", lambda: b"text"),
        _NOT_NIFTI,
        ("…",),
    ),
    BadInput(
        "name with HTML",
        _file("<img src=x onerror=alert(1)>.nii.gz", lambda: b"text"),
        "_img src=x onerror=alert(1)_.nii.gz is not a NIfTI image",
    ),
    BadInput(
        "name with newlines",
        _file("scan\nAll is well.\n.nii.gz", lambda: b"text"),
        "scanAll is well..nii.gz is not a NIfTI image",
    ),
    BadInput(
        "name of 300 characters",
        lambda folder: folder / f"{'x' * 300}.nii.gz",
        "is not there",
        ("xxx…xxx", "check the path"),
    ),
    BadInput(
        "header of an Analyze pair",
        _file("pair.hdr", _analyze_header),
        "pair.hdr is one half of a .hdr/.img pair",
        ("convert the pair to .nii",),
    ),
    BadInput(
        "voxels of a pair",
        _file("pair.img", _analyze_header),
        "pair.img is one half of a .hdr/.img pair",
        ("convert the pair to .nii",),
    ),
    BadInput("missing file", lambda folder: folder / "gone.nii.gz", "gone.nii.gz is not there"),
    BadInput("empty folder", _empty_folder, "Folder nothing holds no scan", ("0 files",)),
    BadInput(
        "another kind of file",
        _file("report.docx", lambda: b"\xd0\xcf\x11\xe0" * 200),
        "report.docx is not a scan that can be opened",
        ("got an unknown kind of file", "NIfTI, DICOM"),
    ),
    BadInput(
        "GIF",
        _file("slice.gif", lambda: b"GIF89a" + bytes(40)),
        "slice.gif is not a scan that can be opened",
        ("got a GIF picture", "PNG, JPEG, WebP, BMP or TIFF"),
    ),
    BadInput(
        "EPS",
        _file("slice.eps", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        "slice.eps is not a scan that can be opened",
        ("got a PostScript drawing", "PNG, JPEG, WebP, BMP or TIFF"),
    ),
    BadInput(
        "data set of several cases",
        _case_folder,
        "There are several scans",
        ("coronacases_org_001, coronacases_org_002",),
    ),
)


# --- masks -----------------------------------------------------------------------------------


def _mask(array: Callable[[], Any], affine: np.ndarray | None = None) -> Any:
    def make(folder: Path) -> tuple[Path, Path]:
        scan, mask = folder / "scan.nii.gz", folder / "mask.nii.gz"
        scan.write_bytes(_packed_chest())
        image = nib.Nifti1Image(array(), small_affine() if affine is None else affine)
        nib.save(image, mask)
        return scan, mask

    return make


def _lung() -> np.ndarray:
    return (chest_hu() < -700).astype(np.uint8)


_MOVED = small_affine()
_MOVED[0, 3] += 1.0

BAD_MASKS: tuple[BadMask, ...] = (
    BadMask(
        "mask of another shape",
        _mask(lambda: _lung()[:, :, :7]),
        "Mask mask.nii.gz has another shape than the scan",
        ("48 × 40 × 7", "48 × 40 × 8", "drawn on this scan"),
    ),
    BadMask(
        "mask of another affine",
        _mask(_lung, _MOVED),
        "Mask mask.nii.gz lies elsewhere in the patient",
        ("by 1 mm", "the scan's affine"),
    ),
    BadMask(
        "mask of another spacing",
        _mask(_lung, small_affine() @ np.diag([1.01, 1, 1, 1])),
        "lies elsewhere in the patient",
    ),
    BadMask(
        "mask of fractions",
        _mask(lambda: _lung() * np.float32(0.7)),
        "mask.nii.gz is not a mask",
        ("fractions", "threshold it"),
    ),
    BadMask(
        "mask that is not there",
        lambda folder: (_mask(_lung)(folder)[0], folder / "gone_mask.nii.gz"),
        "gone_mask.nii.gz is not there",
        ("expected a mask", "check the path"),
    ),
    BadMask("scan as a mask", _mask(chest_hu), "mask.nii.gz is not a mask", ("open it as a scan",)),
)


_REPRESENTATIVE_NAMES = (
    # one of each reader
    "truncated gzip",
    "zip with ../",
    "pictures of two sizes",
    # one of each kind of error
    "zero spacing",
    "two series",
    "zip of several scans",
    "text named .dcm",
    "magnetic resonance",
    # names and paths
    "name with HTML",
    "name with newlines",
    "name of 300 characters",
    "missing file",
    "empty folder",
)
REPRESENTATIVES = tuple(bad for bad in BAD_INPUTS if bad.name in _REPRESENTATIVE_NAMES)
KINDS_OF_ERROR = (
    LoadError,
    GeometryError,
    SeveralSeriesError,
    SeveralScansError,
    NoPictureError,
    UnknownScaleError,
)
"""Those of the whole table; each has a representative."""


# --- odd but good ----------------------------------------------------------------------------


def _gap(datasets: list[Any]) -> list[Any]:
    return datasets[:3] + datasets[5:]


def _twice(datasets: list[Any]) -> list[Any]:
    again = datasets[2].copy()
    again.SOPInstanceUID = f"{datasets[2].SOPInstanceUID}.1"
    again.file_meta = datasets[0].file_meta
    return [*datasets, again]


def _uneven(datasets: list[Any]) -> list[Any]:
    x, y, z = datasets[4].ImagePositionPatient
    datasets[4].ImagePositionPatient = [x, y, z + 1.5]
    return datasets


def _deep_picture() -> np.ndarray:
    return chest_picture().astype(np.uint16) * 257


def _arrow() -> np.ndarray:
    picture = np.dstack([chest_picture()] * 3)
    picture[4:8, 4:14] = (0, 0, 255)
    return picture


ODD_INPUTS: tuple[OddInput, ...] = (
    OddInput("missing slices", _series(_gap), ("2 slices are missing in 1 gap",)),
    OddInput("the same slice twice", _series(_twice), ("1 slice was there twice",)),
    OddInput("uneven distances", _series(_uneven), ("3.50 to 6.50 mm apart",)),
    OddInput("tilted gantry", _series(step=(0.0, 1.2, 5.0)), ("tilted by 13°",)),
    OddInput(
        "16-bit PNG",
        _file("slice.png", lambda: png_bytes(_deep_picture())),
        ("Not in HU", "no spacing"),
    ),
    OddInput(
        "coloured arrow",
        _file("slice.png", lambda: png_bytes(_arrow())),
        ("Colours were converted to grey in 1 of 1",),
    ),
    OddInput("storage offset left in", _nii(lambda: chest_hu() + 1100), ("1024 was subtracted",)),
    OddInput(
        "a few NaN", _nii(lambda: _with_share(np.nan, 0.0005)), ("8 voxels were not numbers",)
    ),
    OddInput(
        "no orientation",
        _nii(chest_hu, sform_code=0, qform_code=0),
        ("does not give its orientation",),
    ),
    OddInput("one slice", _nii(lambda: chest_hu()[:, :, :1]), ("a single slice",)),
    OddInput("8-bit grey", _nii(lambda: _grey_volume()), ("Not in HU",)),
)


def _grey_volume() -> np.ndarray:
    return np.stack([chest_picture(k=k).T for k in range(SHAPE[2])], axis=2)
