"""DICOM series to a volume in HU, with positions in space that are the scanner's own.

Only what describes the picture is kept. Patient, study and institution tags are not read, and
file names, which often hold a patient's number, are never shown.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.checks import DEFAULT_LIMITS, assemble_volume, check_size
from core.progress import (
    OnProgress,
    ShouldCancel,
    ignore_progress,
    never_cancel,
    raise_if_cancelled,
)
from core.volume import AIR_HU, Array, Volume

_MAX_FILE_BYTES = 2 * 1024**3
_SAME_POSITION_MM = 0.01
_GAP_FACTOR = 1.5
"""A step this many times the usual one means that a slice is missing."""
_UNEVEN = 0.1
_OFF_LINE_MM = 0.5
_TILT_DEGREES = 1.0
_PADDING_ABOVE_HU = 3071.0
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
_INT16 = np.iinfo(np.int16)

# Odd values are judged here; pydicom would only warn of them.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

_TAGS = [
    "SOPClassUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "Modality",
    "ImageType",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceLocation",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ConvolutionKernel",
    "KVP",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelRepresentation",
    "BitsAllocated",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]


@dataclass(frozen=True)
class SeriesInfo:
    """One series among the files, told without anything about the patient."""

    uid: str
    description: str
    n_slices: int
    size: str
    """Columns × rows, such as "512×512"."""
    modality: str
    is_localizer: bool


class SeveralSeriesError(LoadError):
    """The files hold more than one CT series; `series` lists them for the person to choose."""

    def __init__(self, series: tuple[SeriesInfo, ...]) -> None:
        self.series = series
        super().__init__(
            "The files hold several CT series",
            got=_listed(series),
            expected="one",
            next_step="choose one (command line: --series UID)",
        )


@dataclass(frozen=True, eq=False)
class _Slice:
    """What one picture's header says; `frame` counts inside multi-frame files."""

    path: Path
    frame: int | None
    uid: str
    description: str
    modality: str
    localizer: bool
    rows: int
    columns: int
    samples: int
    number: int
    position: npt.NDArray[np.float64] | None
    """(3,) LPS mm, centre of the first pixel."""
    orientation: npt.NDArray[np.float64] | None
    """(2, 3) LPS directions in which columns and rows count up."""
    location: float | None
    pixel_mm: tuple[float, float] | None
    """Distance between rows, between columns."""
    thickness_mm: float | None
    step_mm: float | None
    slope: float
    intercept: float
    padding: tuple[float, float] | None
    """Stored values from first to second mean "outside the reconstruction"."""
    kernel: str
    kvp: float | None


@dataclass(frozen=True, eq=False)
class _Grid:
    """Slices in order, and where they lie."""

    slices: tuple[_Slice, ...]
    affine: npt.NDArray[np.float64]
    """(4, 4), index (column, row, slice) → RAS mm."""
    nominal: bool
    warnings: tuple[str, ...]


def list_series(
    paths: Path | str | Sequence[Path | str],
    *,
    limits: LoadLimits = DEFAULT_LIMITS,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> tuple[SeriesInfo, ...]:
    """The image series in a folder (with subfolders), a file or a list of files.

    Raises:
        LoadError: there is no DICOM image, or there are too many files.
    """
    slices = _read_headers(
        paths, limits=limits, on_progress=on_progress, should_cancel=should_cancel
    )
    return tuple(_info(group) for group in _by_series(slices).values())


def load_dicom(
    paths: Path | str | Sequence[Path | str],
    *,
    series_uid: str | None = None,
    limits: LoadLimits = DEFAULT_LIMITS,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Volume:
    """One CT series in HU; slices sorted along their normal, localizers left out.

    Args:
        paths: a folder (with subfolders), a file or a list of files; what is not DICOM is
            passed over.
        series_uid: which series, where there are several.

    Raises:
        SeveralSeriesError: there are several and `series_uid` is none.
        LoadError: no CT, no pixels, or slices that do not form one volume.
        GeometryError: positions and spacing do not span space.
    """
    headers = _read_headers(
        paths, limits=limits, on_progress=on_progress, should_cancel=should_cancel
    )
    chosen = _choose(_by_series(headers), series_uid)
    grid = _arrange(chosen)
    columns, rows = grid.slices[0].columns, grid.slices[0].rows
    check_size((columns, rows, len(grid.slices)), limits, what="The DICOM series")
    array, grid = _read_pixels(grid, on_progress=on_progress, should_cancel=should_cancel)
    count = len(grid.slices)
    return assemble_volume(
        array,
        grid.affine,
        hint="dicom",
        name=f"DICOM series, {count} slice{'s' if count != 1 else ''}",
        format="dicom",
        format_fact="DICOM",
        limits=limits,
        spacing_nominal=grid.nominal,
        warnings=grid.warnings,
        facts=_facts(grid.slices[0]),
    )


def is_dicom(path: Path | str) -> bool:
    """Whether a file carries the DICOM mark at byte 128."""
    try:
        with Path(path).open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


# --- headers ---------------------------------------------------------------------------------


def _files(paths: Path | str | Sequence[Path | str], limits: LoadLimits) -> list[Path]:
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    found: list[Path] = []
    for path in map(Path, given):
        if not path.is_dir():
            found.append(path)
            continue
        for folder, subfolders, names in os.walk(path):
            subfolders[:] = sorted(n for n in subfolders if not n.startswith((".", "__MACOSX")))
            found += [Path(folder, n) for n in sorted(names) if not n.startswith(".")]
            if len(found) > limits.max_files:
                break
    found = [path for path in found if path.name.upper() != "DICOMDIR"]
    if len(found) > limits.max_files:
        raise LoadError(
            "There are too many files",
            got=f"more than {limits.max_files}",
            expected="the slices of one scan",
            next_step="point to the folder of one series",
        )
    return found


def _read_headers(
    paths: Path | str | Sequence[Path | str],
    *,
    limits: LoadLimits,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> list[_Slice]:
    files = _files(paths, limits)
    slices: list[_Slice] = []
    damaged = without_picture = 0
    for done, path in enumerate(files):
        raise_if_cancelled(should_cancel, "reading DICOM headers")
        dataset = _header(path)
        if dataset is not None:
            try:
                found = _slices_of(path, dataset, limits)
            except LoadError:
                raise
            except Exception:  # values of any type and length stand in damaged tags
                damaged += 1
            else:
                slices += found
                without_picture += not found
        elif is_dicom(path):
            damaged += 1
        on_progress("reading DICOM headers", done + 1, len(files))
    if damaged:
        raise LoadError(
            "A DICOM file is damaged",
            got=f"{damaged} of {len(files)} files that cannot be read",
            expected="complete files",
            next_step="copy or export the series again",
        )
    if not slices:
        got = f"{len(files)} file{'s' if len(files) != 1 else ''} without one"
        if without_picture:
            got = f"{without_picture} DICOM files that are reports or other objects"
        raise LoadError(
            "There is no DICOM picture",
            got=got,
            expected="the slices of a CT series",
            next_step="point to the folder that holds the slices",
        )
    return slices


def _header(path: Path) -> Dataset | None:
    """The wanted tags of a DICOM file, or none where it is something else."""
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            return None
        if is_dicom(path):
            meta = pydicom.filereader.read_file_meta_info(path)
            _refuse_deflated(meta)
        elif not _may_lack_mark(path):
            return None
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=True)
    except LoadError:
        raise
    except Exception:  # the parser raises whatever a broken file makes it
        return None
    return dataset if "SOPClassUID" in dataset or "Rows" in dataset else None


def _refuse_deflated(meta: Dataset) -> None:
    """Such a file would be unpacked whole, to a size that nothing in it bounds."""
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise LoadError(
            "A DICOM file is deflated as a whole",
            got="transfer syntax Deflated Explicit VR",
            expected="plain or JPEG-compressed slices",
            next_step="convert the series to uncompressed DICOM",
        )


def _may_lack_mark(path: Path) -> bool:
    """Old exports begin at once with group 0002 or 0008, little endian."""
    with path.open("rb") as file:
        start = file.read(8)
    return start[:2] in (b"\x02\0", b"\x08\0") and len(start) == 8 and start[3] == 0


def _slices_of(path: Path, dataset: Dataset, limits: LoadLimits) -> list[_Slice]:
    """One slice, or one for each frame, or none where the object is no picture."""
    if "Rows" not in dataset or "Columns" not in dataset:
        return []
    frames = int(dataset.get("NumberOfFrames") or 1)
    check_size((int(dataset.Columns), int(dataset.Rows), frames), limits, what="A DICOM file")
    if frames == 1 and "PerFrameFunctionalGroupsSequence" not in dataset:
        return [_slice(path, dataset, None, [dataset])]
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])
    per_frame = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    if len(per_frame) != frames:
        raise LoadError(
            "A DICOM file of several frames does not say where they lie",
            got=f"{frames} frames, {len(per_frame)} positions",
            expected="one position for each",
            next_step="export the series as single slices",
        )
    return [
        _slice(path, dataset, frame, [*_groups(group), *_groups(*shared), dataset])
        for frame, group in enumerate(per_frame)
    ]


def _groups(*items: Dataset) -> list[Dataset]:
    """The first item of every functional group: where enhanced CT keeps geometry and rescale."""
    names = (
        "PlanePositionSequence",
        "PlaneOrientationSequence",
        "PixelMeasuresSequence",
        "PixelValueTransformationSequence",
        "CTImageFrameTypeSequence",
    )
    return [item[name][0] for item in items for name in names if item.get(name)]


def _slice(path: Path, dataset: Dataset, frame: int | None, sources: list[Dataset]) -> _Slice:
    def find(name: str) -> Any:
        return next((s.get(name) for s in sources if s.get(name) not in (None, "")), None)

    position = _numbers(find("ImagePositionPatient"), 3)
    orientation = _numbers(find("ImageOrientationPatient"), 6)
    spacing = _numbers(find("PixelSpacing"), 2)
    image_type = find("ImageType") or find("FrameType") or ()
    slope, intercept = _number(find("RescaleSlope")), _number(find("RescaleIntercept"))
    return _Slice(
        path=path,
        frame=frame,
        uid=str(dataset.get("SeriesInstanceUID") or ""),
        description=_text(dataset.get("SeriesDescription")),
        modality=_text(dataset.get("Modality")),
        localizer=any("LOCALIZER" in str(word).upper() for word in image_type),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        samples=int(dataset.get("SamplesPerPixel") or 1),
        number=int(_number(dataset.get("InstanceNumber")) or 0) if frame is None else frame,
        position=position,
        orientation=None if orientation is None else orientation.reshape(2, 3),
        location=_number(find("SliceLocation")),
        pixel_mm=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        thickness_mm=_number(find("SliceThickness")),
        step_mm=_number(find("SpacingBetweenSlices")),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        padding=_padding(dataset),
        kernel=_text(find("ConvolutionKernel")),
        kvp=_number(find("KVP")),
    )


def _numbers(value: Any, count: int) -> npt.NDArray[np.float64] | None:
    if value is None:
        return None
    numbers = np.array([float(v) for v in value], dtype=np.float64)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError("a DICOM tag has the wrong number of values")
    return numbers


def _number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, (list, tuple, pydicom.multival.MultiValue)):
        value = value[0]
    number = float(value)
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    if isinstance(value, pydicom.multival.MultiValue):
        value = " ".join(map(str, value))
    return shown_name(str(value).replace("/", "-").replace("\\", "-")) if value else ""


def _padding(dataset: Dataset) -> tuple[float, float] | None:
    """Range of stored values that mean "outside", as the pixels' own integer type has them."""
    first = dataset.get("PixelPaddingValue")
    if first is None or isinstance(first, bytes):
        return None
    last = dataset.get("PixelPaddingRangeLimit")
    ends = [int(first), int(first if last is None or isinstance(last, bytes) else last)]
    # Some exporters write -2000 as 63536 or the other way round.
    span = 1 << int(dataset.get("BitsAllocated") or 16)
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    ends = [end % span for end in ends]
    if signed:
        ends = [end - span if end >= span // 2 else end for end in ends]
    return float(min(ends)), float(max(ends))


# --- choosing --------------------------------------------------------------------------------


def _by_series(slices: Iterable[_Slice]) -> dict[str, list[_Slice]]:
    groups: dict[str, list[_Slice]] = {}
    for item in slices:
        groups.setdefault(item.uid, []).append(item)
    return groups


def _info(group: list[_Slice]) -> SeriesInfo:
    pictures = [s for s in group if not s.localizer] or group
    first = pictures[0]
    return SeriesInfo(
        uid=shown_uid(first.uid),
        description=first.description,
        n_slices=len(pictures),
        size=f"{first.columns}×{first.rows}",
        modality=first.modality,
        is_localizer=all(s.localizer for s in group),
    )


def shown_uid(uid: str) -> str:
    """A series UID with nothing but what UIDs are made of."""
    return "".join(c for c in uid if c.isdigit() or c == ".")[:64]


def _listed(series: tuple[SeriesInfo, ...]) -> str:
    """As many series as fit into one sentence."""
    shown: list[str] = []
    for info in series:
        text = f"{info.uid} ({info.description[:16] or 'no name'}, {info.n_slices} slices)"
        if shown and len("; ".join([*shown, text])) > 240:
            break
        shown.append(text)
    left = len(series) - len(shown)
    return "; ".join(shown) + (f"; and {left} more" if left else "")


def _choose(groups: dict[str, list[_Slice]], series_uid: str | None) -> list[_Slice]:
    """The slices of the one series to load, without localizers."""
    if series_uid is not None:
        chosen = [g for uid, g in groups.items() if shown_uid(uid) == shown_uid(series_uid)]
        if not chosen or not shown_uid(series_uid):
            raise LoadError(
                "There is no such series",
                got=f"UID {shown_uid(series_uid)[:64] or 'without digits'}",
                expected="one of " + _listed(tuple(_info(g) for g in groups.values())),
            )
        groups = {series_uid: chosen[0]}
    ct = {uid: group for uid, group in groups.items() if group[0].modality in ("CT", "")}
    if not ct:
        modality = next(iter(groups.values()))[0].modality
        raise LoadError(
            "The series is not CT",
            got=f"modality {modality[:16]}",
            expected="CT",
            next_step="open the CT series of the study",
        )
    pictures = {uid: [s for s in group if not s.localizer] for uid, group in ct.items()}
    pictures = {uid: group for uid, group in pictures.items() if group}
    if not pictures:
        raise LoadError(
            "The files hold localizers only",
            got="scout views",
            expected="the slices of a CT series",
            next_step="open the folder of the series itself",
        )
    if len(pictures) > 1:
        # A single coronal or sagittal picture is a scout that does not say so.
        without_scouts = {u: g for u, g in pictures.items() if len(g) > 1 or _is_axial(g[0])}
        pictures = without_scouts or pictures
    if len(pictures) > 1:
        raise SeveralSeriesError(tuple(_info(group) for group in pictures.values()))
    return next(iter(pictures.values()))


def _is_axial(item: _Slice) -> bool:
    return item.orientation is None or abs(_normal(item.orientation)[2]) > 0.7


# --- geometry --------------------------------------------------------------------------------


def _normal(orientation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    normal = np.cross(orientation[0], orientation[1])
    length = float(np.linalg.norm(normal))
    if length < 0.5:
        raise LoadError(
            "The slices' orientation cannot be used",
            got="row and column directions that do not span a plane",
            expected="two perpendicular directions",
            next_step="export the series again",
        )
    return normal / length


def _arrange(slices: list[_Slice]) -> _Grid:
    """Sorted slices of one orientation and size, with their affine."""
    slices, warnings = _one_orientation(slices)
    _check_alike(slices)
    first = slices[0]
    assumed: tuple[str, ...] = ()
    if first.pixel_mm is None:
        assumed = ("The slices carry no pixel spacing: areas and volumes are not known.",)
    elif len({s.pixel_mm for s in slices}) > 1 and not np.allclose(
        [s.pixel_mm for s in slices if s.pixel_mm], first.pixel_mm, rtol=1e-3
    ):
        raise LoadError(
            "The slices differ in pixel spacing",
            got=f"{len({s.pixel_mm for s in slices})} spacings in one series",
            expected="one",
            next_step="export one reconstruction",
        )
    positioned = all(s.position is not None and s.orientation is not None for s in slices)
    grid = _positioned(slices) if positioned else _unpositioned(slices)
    return replace(
        grid,
        nominal=grid.nominal or bool(assumed),
        warnings=tuple(warnings) + assumed + grid.warnings,
    )


def _one_orientation(slices: list[_Slice]) -> tuple[list[_Slice], list[str]]:
    """The largest group of slices that look the same way."""
    groups: list[list[_Slice]] = []
    for item in slices:
        for group in groups:
            known = group[0].orientation
            if item.orientation is None or known is None:
                alike = item.orientation is known
            else:
                alike = bool(np.abs(item.orientation - known).max() < 0.01)
            if alike:
                group.append(item)
                break
        else:
            groups.append([item])
    largest = max(groups, key=len)
    left_out = len(slices) - len(largest)
    if not left_out:
        return largest, []
    plural = "s of another orientation were" if left_out > 1 else " of another orientation was"
    return largest, [f"{left_out} slice{plural} left out."]


def _check_alike(slices: list[_Slice]) -> None:
    sizes = sorted({(s.columns, s.rows) for s in slices})
    if len(sizes) > 1:
        raise LoadError(
            "The slices differ in size",
            got=", ".join(f"{columns}×{rows}" for columns, rows in sizes[:4]),
            expected="one size in a series",
            next_step="export one reconstruction",
        )
    if any(s.samples != 1 for s in slices):
        raise LoadError(
            "The pictures are in colour",
            got=f"{slices[0].samples} values per pixel",
            expected="one HU value per pixel",
            next_step="open the CT slices, not a rendering of them",
        )


def _plane(item: _Slice) -> npt.NDArray[np.float64]:
    """(3, 2) LPS mm per column and per row of a picture."""
    assert item.orientation is not None
    between_rows, between_columns = item.pixel_mm or (1.0, 1.0)
    along = item.orientation / np.linalg.norm(item.orientation, axis=1, keepdims=True)
    return np.column_stack([along[0] * between_columns, along[1] * between_rows])


def _affine(
    plane: npt.NDArray[np.float64],
    step: npt.NDArray[np.float64],
    origin: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """(4, 4) RAS affine from LPS columns."""
    affine = np.eye(4)
    affine[:3, :3] = _LPS_TO_RAS @ np.column_stack([plane, step])
    affine[:3, 3] = _LPS_TO_RAS @ origin
    return affine


def _positioned(slices: list[_Slice]) -> _Grid:
    first = slices[0]
    assert first.orientation is not None
    normal = _normal(first.orientation)
    ordered = sorted(slices, key=lambda s: float(normal @ s.position))  # type: ignore[operator]
    positions = np.array([s.position for s in ordered])
    heights = positions @ normal
    distances = np.diff(heights)
    real = distances[distances > _SAME_POSITION_MM]
    if real.size == 0:  # one slice, or doubles of it, which are settled once pixels are known
        known = first.step_mm or first.thickness_mm
        affine = _affine(_plane(first), normal * (known or 1.0), positions[0])
        return _Grid(tuple(ordered), affine, nominal=not known, warnings=())
    usual = float(np.median(real))
    direction = (positions[-1] - positions[0]) / (heights[-1] - heights[0])
    affine = _affine(_plane(first), direction * usual, positions[0])
    return _Grid(
        tuple(ordered),
        affine,
        nominal=False,
        warnings=_line_warnings(positions, heights, direction, normal)
        + _step_warnings(real, usual),
    )


def _line_warnings(
    positions: npt.NDArray[np.float64],
    heights: npt.NDArray[np.float64],
    direction: npt.NDArray[np.float64],
    normal: npt.NDArray[np.float64],
) -> tuple[str, ...]:
    on_line = positions[0] + np.outer(heights - heights[0], direction)
    off = float(np.linalg.norm(positions - on_line, axis=1).max())
    if off > _OFF_LINE_MM:
        return (f"The slices are up to {off:.1f} mm off a straight line.",)
    cosine = float(direction @ normal) / float(np.linalg.norm(direction))
    tilt = math.degrees(math.acos(min(1.0, cosine)))
    if tilt > _TILT_DEGREES:
        return (f"The gantry was tilted by {tilt:.0f}°: side views are sheared.",)
    return ()


def _step_warnings(distances: npt.NDArray[np.float64], usual: float) -> tuple[str, ...]:
    gaps = distances[distances > _GAP_FACTOR * usual]
    if gaps.size:
        missing = int(np.maximum(1, np.rint(gaps / usual) - 1).sum())
        return (
            f"{missing} slice{'s are' if missing > 1 else ' is'} missing in {gaps.size} "
            f"gap{'s' if gaps.size > 1 else ''}: volumes leave out what lay there.",
        )
    if np.abs(distances - usual).max() > _UNEVEN * usual:
        return (
            f"The slices are {distances.min():.2f} to {distances.max():.2f} mm apart; "
            f"{usual:.2f} mm is used for all.",
        )
    return ()


def _unpositioned(slices: list[_Slice]) -> _Grid:
    """Slices without positions, by slice location or number, assumed axial from feet to head."""
    if all(s.location is not None for s in slices):
        ordered = sorted(slices, key=lambda s: s.location or 0.0)
    else:
        ordered = sorted(slices, key=lambda s: s.number)
    first = ordered[0]
    between_rows, between_columns = first.pixel_mm or (1.0, 1.0)
    step = first.step_mm or first.thickness_mm or 1.0
    affine = np.diag([-between_columns, -between_rows, step, 1.0])
    warning = "The slices do not say where they lie: their order and sides are assumed."
    return _Grid(tuple(ordered), affine, nominal=True, warnings=(warning,))


# --- pixels ----------------------------------------------------------------------------------


def _read_pixels(
    grid: _Grid, *, on_progress: OnProgress, should_cancel: ShouldCancel
) -> tuple[Array, _Grid]:
    """(columns, rows, slices) in HU, Fortran order; identical doubles are dropped from `grid`."""
    slices = grid.slices
    whole = all(s.slope.is_integer() and s.intercept.is_integer() for s in slices)
    shape = (slices[0].columns, slices[0].rows, len(slices))
    array: Array = np.empty(shape, dtype=np.int16 if whole else np.float32, order="F")
    frames = _Frames()
    kept: list[_Slice] = []
    for done, item in enumerate(slices):
        raise_if_cancelled(should_cancel, "reading slices")
        array[:, :, len(kept)] = _to_hu(frames.pixels(item), item, array.dtype).T
        if not (kept and _same_place(kept[-1], item)):
            kept.append(item)
        elif not np.array_equal(array[:, :, len(kept)], array[:, :, len(kept) - 1]):
            raise LoadError(
                "Two different slices lie at the same position",
                got=f"slices {done} and {done + 1} of {len(slices)}",
                expected="one slice at each position",
                next_step="export one phase or reconstruction of the series",
            )
        on_progress("reading slices", done + 1, len(slices))
    doubles = len(slices) - len(kept)
    if not doubles:
        return array, grid
    text = "slices were there twice and were" if doubles > 1 else "slice was there twice and was"
    grid = replace(
        grid,
        slices=tuple(kept),
        warnings=(*grid.warnings, f"{doubles} {text} taken once."),
    )
    return array[:, :, : len(kept)], grid


def _same_place(one: _Slice, other: _Slice) -> bool:
    if one.position is None or other.position is None or one.orientation is None:
        return False
    height = float(_normal(one.orientation) @ (other.position - one.position))
    return abs(height) < _SAME_POSITION_MM


class _Frames:
    """Decoded pixels of the file in use: the frames of one file share one reading."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._pixels: Array = np.empty(0)

    def pixels(self, item: _Slice) -> Array:
        """(rows, columns) stored values of one slice."""
        if item.path != self._path:
            self._pixels, self._path = _decode(item.path), item.path
        pixels = self._pixels
        if item.frame is not None and pixels.ndim == 3:
            pixels = pixels[item.frame]
        if pixels.shape != (item.rows, item.columns):
            raise LoadError(
                "A slice's pixels do not fit its header",
                got="×".join(map(str, pixels.shape)),
                expected=f"{item.rows}×{item.columns}",
                next_step="export the series again",
            )
        return pixels


def _decode(path: Path) -> Array:
    syntax = "unknown"
    try:
        dataset = pydicom.dcmread(path, force=True)
        if "PixelData" not in dataset:
            raise LoadError(
                "A DICOM file has no pixel data",
                got="a header without a picture",
                expected="a CT slice",
                next_step="export the series with its pictures",
            )
        meta = getattr(dataset, "file_meta", None)
        if meta is None or "TransferSyntaxUID" not in meta:
            dataset.file_meta = meta or pydicom.dataset.FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        syntax = dataset.file_meta.TransferSyntaxUID.name
        pixels: Array = dataset.pixel_array
    except LoadError:
        raise
    except Exception as error:  # decoders raise whatever a broken stream makes them
        raise LoadError(
            "A slice cannot be decoded",
            got=f"damaged pixels or the compression {shown_name(syntax)}",
            expected="a complete DICOM slice",
            next_step="copy the series again, or convert it to uncompressed DICOM",
        ) from error
    return pixels


def _to_hu(pixels: Array, item: _Slice, dtype: np.dtype[Any]) -> Array:
    """Rescaled values; what lies outside the reconstruction becomes air."""
    if dtype == np.int16:
        values: Array = pixels.astype(np.int32)
        if (item.slope, item.intercept) != (1.0, 0.0):
            values = values.astype(np.int64) * int(item.slope) + int(item.intercept)
        # No tissue or metal lies beyond what int16 holds.
        values = np.clip(values, _INT16.min, _INT16.max)
    else:
        values = pixels * np.float32(item.slope) + np.float32(item.intercept)
    if item.padding is not None:
        low, high = item.padding
        ends = (low * item.slope + item.intercept, high * item.slope + item.intercept)
        # Inside the scale of HU a declared padding value may be tissue as well.
        if max(ends) < AIR_HU or min(ends) > _PADDING_ABOVE_HU:
            values[(pixels >= low) & (pixels <= high)] = int(AIR_HU)
    return values.astype(dtype, copy=False)


def _facts(item: _Slice) -> tuple[tuple[str, str], ...]:
    facts = [("Modality", item.modality or "not said")]
    if item.thickness_mm:
        facts.append(("Slice thickness", f"{item.thickness_mm:g} mm"))
    if item.kernel:
        facts.append(("Kernel", item.kernel))
    if item.kvp:
        facts.append(("Tube voltage", f"{item.kvp:g} kV"))
    return tuple(facts)
