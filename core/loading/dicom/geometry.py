"""Where slices lie in the patient: their order, their distance and their affine."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from core.errors import LoadError
from core.loading.dicom.slices import Slice
from core.loading.pictures import natural_order
from core.system import size_text

_SAME_POSITION_MM = 0.01
_GAP_FACTOR = 1.5
"""A step this many times the usual one means that a slice is missing."""
_UNEVEN = 0.1
"""As a share of the mean step."""
_OTHER_SPACING = 3
"""Equal steps in a row that are a spacing of their own."""
_OFF_LINE_MM = 0.5
_TILT_DEGREES = 1.0
_AXIAL = 0.75
"""Component of the normal towards the head; from about 41° on another axis is the nearest."""
_FEW = 0.25
"""Slices without a position that are left out, as a share of all."""
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Grid:
    """Slices in order, and where they lie."""

    slices: tuple[Slice, ...]
    affine: npt.NDArray[np.float64]
    """(4, 4), index (column, row, slice) → RAS mm."""
    nominal: bool
    warnings: tuple[str, ...]

    head_end_assumed: bool = False
    """Whether only the order of the slices says which of them is nearest to the head."""

    @property
    def step_mm(self) -> float:
        """Distance between neighbouring slices."""
        return float(np.linalg.norm(self.affine[:3, 2]))


def arrange(slices: list[Slice]) -> Grid:
    """Sorted slices of one orientation and size, with their affine.

    Raises:
        LoadError: the slices do not form one volume.
    """
    slices, unplaced = _placed(_without_one_place_for_all(slices))
    slices, assumed = _axial_where_untold(slices)
    slices, warnings = one_orientation(slices)
    warnings = unplaced + assumed + warnings
    _check_alike(slices)
    positioned = all(s.position is not None and s.orientation is not None for s in slices)
    grid = _positioned(slices) if positioned else _unpositioned(slices)
    if slices[0].counted:
        source = "the spacing that the file gives"
        if slices[0].step_mm is None:
            source = "the thickness of a slice"
        warnings += (
            "The file does not say where each of its frames lies: they are taken in their order "
            f"and {grid.step_mm:.3g} mm apart, which is {source}.",
        )
        grid = replace(grid, head_end_assumed=True)
    without_spacing = slices[0].pixel_mm is None
    if without_spacing:
        warnings += ("The slices carry no pixel spacing: areas and volumes are not known.",)
    return replace(grid, nominal=grid.nominal or without_spacing, warnings=warnings + grid.warnings)


def same_place(one: Slice, other: Slice) -> bool:
    """Whether two slices are known to lie at the same height along their normal."""
    if one.position is None or other.position is None or one.orientation is None:
        return False
    height = float(unit_normal(one.orientation) @ (other.position - one.position))
    return abs(height) < _SAME_POSITION_MM


def slice_steps_mm(slices: tuple[Slice, ...]) -> tuple[float, ...]:
    """Distances between neighbours of sorted slices along their normal; none unless all say
    where they lie."""
    first = slices[0].orientation
    positions = [s.position for s in slices if s.position is not None]
    if first is None or len(positions) < len(slices):
        return ()
    heights = np.array(positions) @ unit_normal(first)
    return tuple(float(step) for step in np.diff(heights))


def slice_weights(slices: tuple[Slice, ...]) -> tuple[float, ...]:
    """How thick each of the sorted slices is, as a share of the step of their affine: up to half
    way to its neighbours, and no further into a gap than on its other side. Empty where the
    distances are about even."""
    steps = np.array(slice_steps_mm(slices))
    if steps.size < 2 or steps.min() <= _SAME_POSITION_MM:
        return ()
    gaps = _gaps(steps)
    step = float(steps[~gaps].mean())
    if not _is_uneven(steps[~gaps], step):
        return ()
    known = np.where(gaps, np.nan, steps)
    below, above = np.append(np.nan, known), np.append(known, np.nan)
    below, above = (
        np.where(np.isnan(one), other, one) for one, other in ((below, above), (above, below))
    )
    thick = np.nan_to_num((below + above) / 2, nan=step)
    return tuple(map(float, thick / step))


def _gaps(steps: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which steps are long for a slice that is missing. Several long ones in a row, all alike, are
    another spacing."""
    gaps: npt.NDArray[np.bool_] = steps > _GAP_FACTOR * float(np.median(steps))
    changes = np.flatnonzero(np.abs(np.diff(steps)) > _UNEVEN * steps[:-1]) + 1
    for run in np.split(np.arange(steps.size), changes):
        if run.size >= _OTHER_SPACING:
            gaps[run] = False
    return gaps


def _is_uneven(steps: npt.NDArray[np.float64], step: float) -> bool:
    return bool(np.abs(steps - step).max() > _UNEVEN * step)


def unit_normal(orientation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(3,) LPS direction at right angles to a slice of (2, 3) orientation.

    Raises:
        LoadError: the two directions do not span a plane.
    """
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


def _without_one_place_for_all(slices: list[Slice]) -> list[Slice]:
    """Without positions that say nothing: one for all slices, whose locations differ."""
    locations = {item.location for item in slices}
    if len(slices) < 2 or None in locations or len(locations) < len(slices):
        return slices
    places = {None if s.position is None else tuple(map(float, s.position)) for s in slices}
    if None in places or len(places) > 1:
        return slices
    return [replace(item, position=None) for item in slices]


def _axial_where_untold(slices: list[Slice]) -> tuple[list[Slice], tuple[str, ...]]:
    """Slices with positions and no directions, which are assumed to be axial, and a warning."""
    if any(s.position is None or s.orientation is not None for s in slices):
        return slices, ()
    positions = np.array([item.position for item in slices])
    extent = np.ptp(positions, axis=0)
    if len(slices) < 2 or not np.isfinite(extent).all() or extent[2] <= max(extent[:2]):
        return slices, ()
    warning = (
        "The slices do not say in which direction they lie: they are taken for axial, with the "
        "patient on the back."
    )
    axial = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return [replace(item, orientation=axial) for item in slices], (warning,)


def _placed(slices: list[Slice]) -> tuple[list[Slice], tuple[str, ...]]:
    """Without the few slices without a position, where most do, and a warning."""
    directed = any(s.orientation is not None for s in slices)
    placed = [
        s for s in slices if s.position is not None and (s.orientation is not None or not directed)
    ]
    left_out = len(slices) - len(placed)
    if not left_out or left_out > _FEW * len(slices):
        return slices, ()
    if left_out == 1:
        return placed, ("1 slice without a position was left out.",)
    return placed, (f"{left_out} slices without a position were left out.",)


def one_orientation(slices: list[Slice]) -> tuple[list[Slice], tuple[str, ...]]:
    """The largest group of slices that look the same way, and a warning of the others."""
    groups: list[list[Slice]] = []
    for item in slices:
        for group in groups:
            if _look_alike(item.orientation, group[0].orientation):
                group.append(item)
                break
        else:
            groups.append([item])
    largest = max(groups, key=len)
    left_out = len(slices) - len(largest)
    if not left_out:
        return largest, ()
    plural = "s of another orientation were" if left_out > 1 else " of another orientation was"
    return largest, (f"{left_out} slice{plural} left out.",)


def _look_alike(one: npt.NDArray[np.float64] | None, other: npt.NDArray[np.float64] | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.abs(one - other).max() < 0.01)


def _check_alike(slices: list[Slice]) -> None:
    sizes = sorted({(s.columns, s.rows) for s in slices})
    if len(sizes) > 1:
        raise LoadError(
            "The slices differ in size",
            got=", ".join(map(size_text, sizes[:4])),
            expected="one size in a series",
            next_step="export one reconstruction",
        )
    known = [s.pixel_mm for s in slices if s.pixel_mm]
    if slices[0].pixel_mm and not np.allclose(known, slices[0].pixel_mm, rtol=1e-3):
        raise LoadError(
            "The slices differ in pixel spacing",
            got=f"{len({s.pixel_mm for s in slices})} spacings in one series",
            expected="one",
            next_step="export one reconstruction",
        )


def _positioned(slices: list[Slice]) -> Grid:
    first = slices[0]
    assert first.orientation is not None
    normal = unit_normal(first.orientation)
    ordered = sorted(slices, key=lambda s: float(normal @ s.position))  # type: ignore[operator]
    positions = np.array([s.position for s in ordered])
    heights = positions @ normal
    distances = np.diff(heights)
    real = distances[distances > _SAME_POSITION_MM]
    if real.size == 0:  # one slice, or doubles of it, which are settled once pixels are known
        known = first.step_mm or first.thickness_mm
        affine = _affine(_plane(first), normal * (known or 1.0), positions[0])
        return Grid(tuple(ordered), affine, nominal=not known, warnings=())
    gaps = _gaps(real)
    # The mean, not the median, ends where the last slice lies: extent and volumes are true.
    step = float(real[~gaps].mean())
    direction = (positions[-1] - positions[0]) / (heights[-1] - heights[0])
    affine = _affine(_plane(first), direction * step, positions[0])
    return Grid(
        tuple(ordered),
        affine,
        nominal=False,
        warnings=_line_warnings(positions, heights, direction, normal)
        + _step_warnings(real, gaps, step, is_axial=abs(float(normal[2])) > _AXIAL),
    )


def _plane(item: Slice) -> npt.NDArray[np.float64]:
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
        return (f"The gantry was tilted by {tilt:.0f}°: coronal and sagittal views are sheared.",)
    return ()


def _step_warnings(
    distances: npt.NDArray[np.float64], gaps: npt.NDArray[np.bool_], step: float, *, is_axial: bool
) -> tuple[str, ...]:
    """What one distance for all slices gets wrong; no slice is made up for one that is missing.

    Only axial slices have weights of their own in volumes: see `Volume.slice_weights`.
    """
    moved = np.cumsum(distances) - step * np.arange(1, distances.size + 1)
    off = float(np.abs(moved).max())
    found: tuple[str, ...] = ()
    if gaps.any():
        count = int(np.count_nonzero(gaps))
        usual = float(np.median(distances))
        missing = int(np.maximum(1, np.rint(distances[gaps] / usual) - 1).sum())
        found += (
            f"{missing} slice{'s are' if missing > 1 else ' is'} missing in {count} "
            f"gap{'s' if count > 1 else ''}: volumes leave out what lay there, and "
            f"slices beyond a gap are up to {off:.1f} mm from their true place.",
        )
    even = distances[~gaps]
    if _is_uneven(even, step):
        found += (
            f"The slices are {even.min():.2f} to {even.max():.2f} mm apart: volumes in ml "
            f"{'follow their true distances' if is_axial else 'are not exact'}. Views use the mean "
            f"of {step:.2f} mm for all, so slices are up to {off:.1f} mm off there.",
        )
    return found


def _unpositioned(slices: list[Slice]) -> Grid:
    """Slices without positions, by slice location, number or name, assumed axial from feet to
    head."""
    locations = [s.location for s in slices if s.location is not None]
    if len(set(locations)) == len(slices):
        ordered, way = sorted(slices, key=lambda s: s.location or 0.0), "location"
    elif len({s.number for s in slices}) == len(slices):
        ordered, way = sorted(slices, key=lambda s: s.number), "numbers"
    else:
        ordered, way = sorted(slices, key=lambda s: (natural_order(s.path), s.number)), "names"
    first = ordered[0]
    between_rows, between_columns = first.pixel_mm or (1.0, 1.0)
    step = first.step_mm or first.thickness_mm or 1.0
    affine = np.diag([-between_columns, -between_rows, step, 1.0])
    warning = f"The slices have no position: their order by {way} and their sides are assumed."
    return Grid(tuple(ordered), affine, nominal=True, warnings=(warning,), head_end_assumed=True)
