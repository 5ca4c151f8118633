"""One DICOM series to a volume: headers, choice, geometry, then pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.config import LoadLimits
from core.loading.checks import DEFAULT_LIMITS, assemble_volume, check_size
from core.loading.dicom.geometry import arrange, slice_steps_mm, slice_weights
from core.loading.dicom.headers import read_headers
from core.loading.dicom.pixels import read_pixels
from core.loading.dicom.series import choose, ignored_warning
from core.loading.dicom.slices import Slice
from core.loading.dicom.values import check_values
from core.loading.orientation import with_head_up
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel
from core.volume import DicomInstance, DicomOrigin, Volume

_JOINED = "The slices had a series each and were joined to one scan."
_UID = re.compile(r"[0-9.]{1,64}")


def load_dicom(
    paths: Path | str | Sequence[Path | str],
    *,
    series_uid: str | None = None,
    window: tuple[float, float] | None = None,
    limits: LoadLimits = DEFAULT_LIMITS,
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Volume:
    """One CT series in HU; slices sorted along their normal, localizers left out.

    Args:
        paths: a folder (with subfolders), a file or a list of files; what is not DICOM is
            passed over.
        series_uid: which series, where there are several, as `SeriesInfo` names it; "joined"
            where every slice has a series of its own.
        window: HU of black and white, for a series that is not in HU.

    Raises:
        SeveralSeriesError: there are several and `series_uid` is none.
        LoadError: no CT, no pixels, or slices that do not form one volume.
        GeometryError: positions and spacing do not span space.
    """
    headers = read_headers(
        paths, limits=limits, on_progress=on_progress, should_cancel=should_cancel
    )
    chosen = choose(headers.slices, series_uid)
    check_values(chosen.slices)
    grid = arrange(chosen.slices)
    columns, rows = grid.slices[0].columns, grid.slices[0].rows
    check_size((columns, rows, len(grid.slices)), limits, what="The DICOM series")
    array, grid = read_pixels(grid, on_progress=on_progress, should_cancel=should_cancel)
    count = len(grid.slices)
    volume = assemble_volume(
        array,
        grid.affine,
        hint="dicom",
        name=f"DICOM series, {count} slice{'s' if count != 1 else ''}",
        format="dicom",
        format_fact="DICOM",
        limits=limits,
        spacing_nominal=grid.nominal,
        window=window,
        warnings=grid.warnings
        + ignored_warning(headers.ignored + chosen.ignored)
        + ((_JOINED,) if chosen.joined else ()),
        facts=_facts(grid.slices[0]),
    )
    source = replace(
        volume.source,
        steps_mm=slice_steps_mm(grid.slices),
        slice_weights=slice_weights(grid.slices),
        dicom=_origin(grid.slices),
    )
    volume = replace(volume, source=source)
    return with_head_up(volume) if grid.head_end_assumed else volume


def _origin(slices: tuple[Slice, ...]) -> DicomOrigin | None:
    """What derived objects refer to; none where the slices lack any of it."""
    first = slices[0]
    instances = []
    for item in slices:
        if (
            item.position is None
            or item.counted
            or not _are_uids(item.sop_class_uid, item.sop_instance_uid)
        ):
            return None
        x, y, z = map(float, item.position)
        instances.append(
            DicomInstance(item.sop_class_uid, item.sop_instance_uid, item.frame, (x, y, z))
        )
    named = _are_uids(first.study_uid, first.uid, first.frame_of_reference_uid)
    alike = len({(s.study_uid, s.frame_of_reference_uid) for s in slices}) == 1
    if first.orientation is None or first.pixel_mm is None or not (named and alike):
        return None
    return DicomOrigin(
        study_uid=first.study_uid,
        series_uid=first.uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        orientation=tuple(map(float, first.orientation.ravel())),
        pixel_mm=first.pixel_mm,
        thickness_mm=first.thickness_mm,
        instances=tuple(instances),
    )


def _are_uids(*texts: str) -> bool:
    return all(_UID.fullmatch(text) for text in texts)


def _facts(item: Slice) -> tuple[tuple[str, str], ...]:
    facts = [("Modality", item.modality or "not given")]
    if item.thickness_mm:
        facts.append(("Slice thickness", f"{item.thickness_mm:g} mm"))
    if item.kernel:
        facts.append(("Kernel", item.kernel))
    if item.kvp:
        facts.append(("Tube voltage", f"{item.kvp:g} kV"))
    return tuple(facts)
