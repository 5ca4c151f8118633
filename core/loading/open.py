"""One entry point for every kind of input: a file, a folder, an archive or a list of files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from core.config import LoadLimits
from core.errors import LoadError, shown_name
from core.loading.archive import unpacked
from core.loading.case_table import load_case, load_case_table
from core.loading.checks import DEFAULT_LIMITS
from core.loading.dicom import load_dicom
from core.loading.label_codings import Role
from core.loading.masks import MaskReading, load_role_mask
from core.loading.masks_beside import SeveralScansError, open_volumes
from core.loading.orientation import reoriented_study, with_checked_orientation
from core.loading.picture_stack import load_pictures
from core.loading.pictures import PICTURE_ENDINGS, natural_order
from core.loading.recognise import Kind, files_below, kind_of_list, recognise, refuse_nothing
from core.loading.volume_files import VOLUME_ENDINGS
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel
from core.volume import MaskPair, Study, Volume


def open_study(
    path: Path | str | Sequence[Path | str],
    *,
    series_uid: str | None = None,
    lung_mask_path: Path | str | None = None,
    infection_mask_path: Path | str | None = None,
    same_grid: bool = False,
    infection_labels: tuple[int, ...] = (),
    window: tuple[float, float] | None = None,
    orientation: str | None = None,
    limits: LoadLimits = DEFAULT_LIMITS,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Study:
    """The scan behind a path or behind several uploaded files, with masks where they are known.

    Args:
        path: NIfTI, DICOM file or folder, zip, picture, folder of pictures, a folder of the
            20-case set with a single case, or a list of files that form one scan.
        series_uid: which DICOM series, where there are several.
        lung_mask_path, infection_mask_path: masks on the scan's grid; they take precedence over
            masks that come with a case.
        same_grid: lays masks of the scan's shape on it voxel by voxel, whatever their affine.
        infection_labels: which labels of the infection mask are infection; none goes by the
            codings that are known.
        window: HU of black and white, for a scan that is not in HU.
        orientation: where the axes of the file lead, such as "LPS", where its header is wrong.

    Raises:
        SeveralSeriesError, SeveralScansError: the person has to choose.
        LoadError, GeometryError: the scan or a mask cannot be opened.
        Cancelled: the person asked to stop.
    """
    study = _open_in_its_own_axes(
        path if isinstance(path, (str, Path)) else _only(path),
        series_uid=series_uid,
        window=window,
        limits=limits,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
    study = _oriented(study, orientation)
    given: dict[Role, Path | str | None] = {
        "lung": lung_mask_path,
        "infection": infection_mask_path,
    }
    for role, mask_path in given.items():
        if mask_path is not None:
            reading = load_role_mask(
                mask_path,
                study.volume,
                role,
                trust_shape=same_grid,
                infection_labels=infection_labels,
                limits=limits,
            )
            study = with_mask(study, role, reading)
    return study


def _oriented(study: Study, orientation: str | None) -> Study:
    """The study with its axes checked, or led where a person says."""
    if orientation is not None:
        return reoriented_study(study, orientation)
    return replace(study, volume=with_checked_orientation(study.volume))


def with_mask(study: Study, role: Role, reading: MaskReading) -> Study:
    """The study with a true mask in place of its own, and what is to be known of it as warnings."""
    known = study.truth or MaskPair(lung=None, infection=None)
    volume = study.volume
    if reading.notes:
        new = tuple(note for note in reading.notes if note not in volume.warnings)
        volume = replace(volume, warnings=volume.warnings + new)
    return replace(study, volume=volume, truth=replace(known, **{role: reading.mask}))


def _only(paths: Sequence[Path | str]) -> Path | tuple[Path, ...]:
    """The single path of a list, or the list."""
    if not paths:
        raise LoadError(
            "There is nothing to open",
            got="no file",
            expected="a scan",
            next_step="choose at least one file",
        )
    for path in paths:
        refuse_nothing(path)
    found = tuple(map(Path, paths))
    return found[0] if len(found) == 1 else found


def _open_in_its_own_axes(
    path: Path | str | tuple[Path, ...],
    *,
    series_uid: str | None,
    window: tuple[float, float] | None,
    limits: LoadLimits,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> Study:
    """A study from anything, with the axes that its file gives; archives are unpacked first."""
    with ExitStack() as stack:
        if not isinstance(path, tuple) and recognise(path) == "archive":
            path = stack.enter_context(
                unpacked(
                    Path(path), limits=limits, on_progress=on_progress, should_cancel=should_cancel
                )
            )
        opened = _opener(path, series_uid)(
            window=window, limits=limits, on_progress=on_progress, should_cancel=should_cancel
        )
    if isinstance(opened, Study):
        return opened
    return Study(volume=opened, case_id=opened.source.name)


def _opener(
    path: Path | str | tuple[Path, ...], series_uid: str | None
) -> Callable[..., Volume | Study]:
    """What opens a path that is no archive, for the arguments that all kinds share."""
    kind: Kind = kind_of_list(path) if isinstance(path, tuple) else recognise(path)
    if kind == "cases":
        assert not isinstance(path, tuple)
        cases = load_case_table(path)
        if len(cases) > 1:
            raise SeveralScansError(tuple(shown_name(case.case_id) for case in cases))
        return partial(load_case, cases[0])
    if kind == "dicom":
        return partial(load_dicom, path, series_uid=series_uid)
    if kind == "pictures":
        pictures = _gather(path, PICTURE_ENDINGS)
        return partial(load_pictures, pictures, name=_picture_stack_name(path))
    return partial(open_volumes, _gather(path, VOLUME_ENDINGS))


def _gather(path: Path | str | tuple[Path, ...], endings: tuple[str, ...]) -> list[Path]:
    """The files of one kind in a folder and its subfolders, or those given."""
    if isinstance(path, tuple):
        return [file for file in path if file.name.lower().endswith(endings)]
    path = Path(path)
    if not path.is_dir():
        return [path]
    return sorted(
        (file for file in files_below(path) if file.name.lower().endswith(endings)),
        key=natural_order,
    )


def _picture_stack_name(path: Path | str | tuple[Path, ...]) -> str | None:
    # The temporary folder of an archive and a list of uploads have no name worth showing.
    if isinstance(path, tuple) or not Path(path).is_dir():
        return None
    pictures = _gather(path, PICTURE_ENDINGS)
    return None if len(pictures) == 1 else f"{len(pictures)} pictures"
