"""When lobes are not estimated: each reason a sentence. Cut-offs were chosen on the label maps that
the network learned from, changed as in training, and on masks that are not of lungs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.measuring.biomarkers import count_by_slice
from core.segmentation.lobes.resampling import Box
from core.system import number_text, percent_text
from core.volume import BoolArray, Volume

Floats = npt.NDArray[np.float32]

_NOT = "Lobes were not estimated: "
NO_LUNG = f"{_NOT}no lung is marked."
PICTURES = f"{_NOT}pictures do not show the lungs from top to bottom."
ONE_LUNG = f"{_NOT}only one lung seems to be marked."
NO_WEIGHTS = f"{_NOT}the network for them (weights/lobes-v1) is not installed."
DOUBTFUL = f"{_NOT}the lung mask does not have the shape of two lungs{{}}."
UNSURE = f"{_NOT}the network is unsure of the lobes in this lung mask."
SWAPPED = f"{_NOT}the lung mask seems to be {{}}."

MOST_MISSING = 0.1
"""Of the lungs' height."""
_MOST_ABRUPT = 0.25
"""The same where the mask ends inside the scan; disease at the base takes less."""
_FEWEST_SLICES = 12
_LEAST_ML = 400.0
_FILLS = (0.12, 0.72)
"""Share of its box that two lungs fill."""
_TWO_LARGEST = 0.85
"""Of all lung, in its two largest pieces."""
_LEAST_LIKENESS = 0.45
_VALLEY = 0.5
_TURNED = 0.03
_LEAST_SIDE = 0.15
"""Of all lung, in either lung."""
_LEAST_SURE = 0.8

_HEIGHT = np.array([0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3])
_AREA_BELOW = np.array([0.0, 0.01, 0.03, 0.05, 0.08, 0.12, 0.18, 0.28, 0.54, 1.0])
_AREA_ABOVE = np.array([0.0, 0.05, 0.1, 0.17, 0.23, 0.3, 0.37, 0.48, 0.64, 1.0])
"""Median area of lung, over the largest, so much of the lungs' height above their lower end or
below their upper end, over 40 label maps."""


def find_fault(lung: BoolArray, volume: Volume, box: Box | None) -> str:
    """Why the extent of a mask alone rules out lobes; empty where it does not.

    Args:
        box: of `lungs_box`.
    """
    if volume.source.format == "pictures":
        return PICTURES
    if box is None:
        return DOUBTFUL.format(" (none of its pieces is large)") if lung.any() else NO_LUNG
    slices = box[2].stop - box[2].start
    if slices < _FEWEST_SLICES:
        return (
            f"{_NOT}lung is marked in {slices} slice{'s' if slices > 1 else ''}; at least "
            f"{_FEWEST_SLICES} are needed."
        )
    areas = count_by_slice(lung)
    voxels = int(areas.sum())
    volume_ml = voxels * volume.voxel_volume_ml
    if not volume.spacing_nominal and volume_ml < _LEAST_ML:
        return DOUBTFUL.format(
            f" (it holds {number_text(volume_ml, digits=0)} ml, less than {_LEAST_ML:g} ml)"
        )
    filled = voxels / float(np.prod([part.stop - part.start for part in box]))
    if not _FILLS[0] <= filled <= _FILLS[1]:
        return DOUBTFUL.format(f" (it fills {percent_text(filled, digits=0)} of the box around it)")
    # Inside the scan a lung may begin anywhere in its first slice and end anywhere in its last.
    beyond = missing_height(areas[box[2]]) - 2.0 / slices
    if not areas[0] and not areas[-1] and beyond > _MOST_ABRUPT:
        return DOUBTFUL.format(
            " (it ends abruptly inside the scan; about "
            f"{percent_text(beyond, digits=0)} of the lungs' height is missing)"
        )
    missing = missing_height(areas)
    if missing > MOST_MISSING:
        return (
            f"{_NOT}the scan covers less than nine tenths of the lungs' height (about "
            f"{percent_text(missing, digits=0)} of it is missing)."
        )
    return ""


def missing_height(areas: npt.NDArray[np.int64]) -> float:
    """About how much of the lungs' height lies outside the scan, by the area of lung in its first
    and last slice.

    Args:
        areas: (slices,) of lung, from the feet up.
    """
    below, above = areas[0] / areas.max(), areas[-1] / areas.max()
    return float(np.interp(below, _AREA_BELOW, _HEIGHT) + np.interp(above, _AREA_ABOVE, _HEIGHT))


def find_odd_shape(mask: BoolArray, mean_lungs: Floats) -> str:
    """Why a mask on the network's grid is not that of two lungs; empty where it is.

    Args:
        mask: (*grid).
        mean_lungs: of the weights, on a coarser grid.
    """
    pieces, count = ndimage.label(mask)
    sizes = np.sort(np.bincount(pieces.ravel(), minlength=count + 1)[1:])[::-1]
    if sizes[:2].sum() < _TWO_LARGEST * sizes.sum():
        return DOUBTFUL.format(f" (it consists of {count} pieces)")
    if _fullest_valley(mask) > _VALLEY:
        return ONE_LUNG
    seen = _shrunk(mask, mean_lungs.shape)
    upright = _likeness(seen, mean_lungs)
    if _likeness(seen[:, :, ::-1], mean_lungs) > upright:
        return SWAPPED.format("upside down")
    if _likeness(seen[:, ::-1], mean_lungs) > upright + _TURNED:
        return SWAPPED.format("turned back to front")
    if _likeness(seen[::-1], mean_lungs) > upright + _TURNED:
        return SWAPPED.format("mirrored, left for right")
    if upright < _LEAST_LIKENESS:
        return DOUBTFUL.format("")
    return ""


def find_doubt(probabilities: Floats, mask: BoolArray) -> str:
    """Why the answer of the network is not used; empty where it is.

    Args:
        probabilities: (*grid, 5).
        mask: (*grid).
    """
    inside = probabilities[mask]
    left = float((inside[:, 3:].sum(axis=1) > 0.5).mean())
    if not _LEAST_SIDE <= left <= 1 - _LEAST_SIDE:
        side = "left" if left < 0.5 else "right"
        return (
            f"{_NOT}nearly all of the marked lung belongs to one lung; the {side} lung holds only "
            f"{percent_text(min(left, 1 - left), digits=0)} of it."
        )
    if not float(inside.max(axis=1).mean()) >= _LEAST_SURE:  # also where it is no number
        return UNSURE
    return ""


def _fullest_valley(mask: BoolArray) -> float:
    """Area of the emptiest sagittal plane in the middle, over that of the fullest plane: about 0.1
    of two lungs, and above 0.6 of one."""
    areas = np.count_nonzero(mask, axis=(1, 2))
    areas = areas[areas > 0]
    middle = areas[round(0.35 * len(areas)) : round(0.65 * len(areas))]
    return float(middle.min() / areas.max()) if middle.size else 1.0


def _shrunk(mask: BoolArray, shape: tuple[int, ...]) -> Floats:
    """Share of the mask in each cell of a coarser grid whose sides divide the mask's."""
    split = [
        n for side, coarse in zip(mask.shape, shape, strict=True) for n in (coarse, side // coarse)
    ]
    return np.asarray(mask.reshape(split).mean(axis=(1, 3, 5), dtype=np.float32))


def _likeness(seen: Floats, mean: Floats) -> float:
    """Correlation of two arrays."""
    if seen.std() == 0 or mean.std() == 0:
        return 0.0
    return float(np.corrcoef(seen.ravel(), mean.ravel())[0, 1])
