"""What the viewer in the browser gets beside the slices themselves, ready for JSON."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from core.annotation import Annotation, annotations_json
from core.config import BRUSH_RANGE_MM, CHANNELS, HU_LIMITS, WINDOW_PRESETS, Plane
from core.correction import Correction
from core.drawing import (
    AGREEMENT_COLOURS,
    CORRECTED_COLOURS,
    PREDICTION_COLOURS,
    SECOND_COLOURS,
    TRUTH_COLOURS,
    heat_colours,
)
from core.measuring.lobes import Lobes
from core.ui.viewer.lobes import lobes_header
from core.ui.viewer.packing import (
    BITS,
    LABEL_CHUNK_VOXELS,
    VALUE_CHUNK_VOXELS,
    known_mask,
    sent_as_hu,
    slices_per_chunk,
)
from core.ui.viewer.place import Place, Voxel
from core.ui.viewer.serving import Offer, offers
from core.volume import MaskPair, Volume

_COLOURS = {
    "truth": TRUTH_COLOURS,
    "second": SECOND_COLOURS,
    "prediction": PREDICTION_COLOURS,
    "corrected": CORRECTED_COLOURS,
}
Tools = Literal["all", "few"]
Marks = Literal["fill", "outline", "agreement", "off"]
LineStyle = Literal["solid", "dashed", "dotted"]


@dataclass(frozen=True, eq=False)
class ViewerScan:
    """A scan to show, with what is marked in it.

    Attributes:
        owner: any object that lives as long as the browser may fetch slices, such as the
            session's open study. One owner has one scan.
        truth, prediction, second: masks on the scan's own grid, the last of another network; each
            may be missing.
        correction: what a person changes by hand, with masks of its own; none where that is not
            offered.
        lobes: that may be shown as lines or colours; none, or without labels, offers none.
        name: what the scan is called for people who cannot see it, and in comparisons.
        stamp: a word drawn into every picture, such as "SYNTHETIC".
        numbers: where this scan was laid on the slices of another: for each axial slice its own
            index, or -1, and how many slices it had.
        flags: axial slices to look at first, marked at the slider.
        turns: by how many 90° axial slices are shown turned clockwise, for pictures on their side.
    """

    owner: object
    volume: Volume
    truth: MaskPair | None = None
    prediction: MaskPair | None = None
    second: MaskPair | None = None
    correction: Correction | None = None
    lobes: Lobes | None = None
    name: str = ""
    stamp: str = ""
    numbers: tuple[tuple[int, ...], int] | None = None
    flags: tuple[int, ...] = ()
    turns: int = 0


@dataclass(frozen=True)
class Box:
    """A box in a scan, drawn as a rectangle in each plane; dimmed on slices that miss it.

    Attributes:
        start, stop: voxel indices (i, j, k), half-open.
        label: a word at its corner.
    """

    start: Voxel
    stop: Voxel
    label: str = ""
    colour: str = "#56B4E9"
    line: LineStyle = "solid"


@dataclass(frozen=True)
class Line:
    """A polyline over one plane.

    Attributes:
        points: (column, row) on the picture's voxel grid; whole numbers lie between voxels.
        slices: first and last slice index that show it; none for all.
        closed: whether the last point is joined to the first.
    """

    points: tuple[tuple[float, float], ...]
    plane: Plane = "axial"
    slices: tuple[int, int] | None = None
    closed: bool = False
    label: str = ""
    colour: str = "#56B4E9"
    line: LineStyle = "solid"


@dataclass(frozen=True, eq=False)
class Heat:
    """Maps over axial slices, such as what speaks for a verdict; drawn by viridis.

    Attributes:
        name: other maps must have another name.
        slices: slice index → (rows, columns) uint8, stretched over the whole slice, so it may be
            as coarse as what it says; 0 leaves the picture as it is.
        opacity: of the highest value, 0 to 1.
    """

    name: str
    slices: Mapping[int, npt.NDArray[np.uint8]]
    opacity: float = 0.5


@dataclass(frozen=True, eq=False)
class Notebook:
    """What people place on slices, and where it goes.

    Attributes:
        items: as they are now.
        command: counts what Python has changed in them; the browser takes over each new one.
        locked: why nothing can be placed here, in a sentence; empty where it can.
        take: called with all of them after the browser has changed them, before the page runs.
    """

    items: tuple[Annotation, ...]
    command: int
    locked: str
    take: Callable[[tuple[Annotation, ...]], None]


@dataclass(frozen=True, eq=False)
class Comparison:
    """A second picture behind a divider that people drag, with shared slice and zoom.

    Attributes:
        left, right: what stands left and right of the divider, in words.
        scan: the second scan, such as a follow-up, shown on the right at the same relative
            height; none to show the masks of one scan against each other.
        left_masks, right_masks: whose masks are drawn on each side.
        aside: begins side by side; people change that in the toolbar.
    """

    left: str
    right: str
    scan: ViewerScan | None = None
    left_masks: tuple[str, ...] = ("truth", "second", "prediction", "corrected")
    right_masks: tuple[str, ...] = ("truth", "second", "prediction", "corrected")
    aside: bool = False


def make_header(
    scan: ViewerScan,
    place: Place,
    *,
    key: str,
    comparison: Comparison | None,
    drawings: Sequence[Box | Line],
    tools: Tools,
    tallest: float,
    heat: Heat | None = None,
    marks: Marks | None = None,
    notebook: Notebook | None = None,
) -> dict[str, Any]:
    """Everything but voxels, and the tokens by which the browser gets those."""
    shown = [scan] if comparison is None or comparison.scan is None else [scan, comparison.scan]
    return {
        "key": key,
        "scans": [_scan_header(one) for one in shown],
        "comparison": None if comparison is None else _comparison_header(comparison),
        "presets": [asdict(preset) for preset in WINDOW_PRESETS],
        "agreement": AGREEMENT_COLOURS,
        "place": place.asked,
        "boxes": [asdict(one) for one in drawings if isinstance(one, Box)],
        "lines": [asdict(one) for one in drawings if isinstance(one, Line)],
        "heat": None if heat is None else _heat_header(heat),
        "tools": tools,
        "tallest": tallest,
        "turns": scan.turns,
        "marks": marks,
        "annotations": None if notebook is None else _notebook_header(notebook),
    }


def _notebook_header(notebook: Notebook) -> dict[str, Any]:
    return {
        "command": notebook.command,
        "locked": notebook.locked,
        "items": annotations_json(notebook.items),
    }


def _scan_header(scan: ViewerScan) -> dict[str, Any]:
    volume = scan.volume
    offer = offers.offer(
        scan.owner,
        volume,
        truth=scan.truth,
        prediction=scan.prediction,
        second=scan.second,
        correction=scan.correction,
    )
    as_hu = sent_as_hu(volume)
    return {
        "token": offer.token,
        "name": scan.name,
        "stamp": scan.stamp,
        "numbers": _numbers_header(scan),
        "flags": list(scan.flags),
        "shape": list(volume.shape),
        "spacing": list(volume.spacing_mm),
        "affine": volume.affine.tolist(),
        "nominal": volume.spacing_nominal,
        # Nobody knows which side of a picture is the patient's right.
        "oriented": volume.source.format != "pictures",
        "unitKnown": volume.unit == "HU",
        "bits": 8 if volume.array.dtype == "uint8" else 16,
        "slope": 1.0 if as_hu else volume.intensity.slope,
        "intercept": 0.0 if as_hu else volume.intensity.intercept,
        "chunk": slices_per_chunk(volume.shape, VALUE_CHUNK_VOXELS),
        "labels": _labels_header(offer),
        "correction": _correction_header(offer),
        "lobes": lobes_header(offer, scan.lobes),
    }


def _numbers_header(scan: ViewerScan) -> dict[str, Any] | None:
    if scan.numbers is None:
        return None
    slices, count = scan.numbers
    return {"slices": list(slices), "of": count}


def _labels_header(offer: Offer) -> dict[str, Any] | None:
    labels = offer.labels
    corrected = None if offer.correction is None else offer.correction.masks()
    if labels.empty and corrected is None:
        return None
    pairs = {**labels.pairs, "corrected": corrected}
    layers = [
        {"bit": bit, "source": source, "channel": channel, "colour": _COLOURS[source][channel]}
        for (source, channel), bit in BITS.items()
        if known_mask(pairs[source], channel) is not None
    ]
    return {
        "version": labels.version,
        "chunk": slices_per_chunk(offer.volume.shape, LABEL_CHUNK_VOXELS),
        "layers": layers,
    }


def _correction_header(offer: Offer) -> dict[str, Any] | None:
    correction = offer.correction
    if correction is None:
        return None
    config = correction.config
    return {
        "revision": correction.revision,
        "undoable": correction.undoable,
        "redoable": correction.redoable,
        "touched": correction.touched,
        "locked": correction.locked,
        "network": correction.network is not None,
        # Of labels that hold nothing yet, for a scan that is drawn on from nothing.
        "labels": offer.labels.version,
        "chunk": slices_per_chunk(offer.volume.shape, LABEL_CHUNK_VOXELS),
        "colours": {channel: CORRECTED_COLOURS[channel] for channel in CHANNELS},
        "pen": {"size": config.brush_mm, "low": config.low_hu, "high": config.high_hu},
        "sizes": asdict(BRUSH_RANGE_MM),
        "limits": asdict(HU_LIMITS),
    }


def _heat_header(heat: Heat) -> dict[str, Any]:
    return {
        "name": heat.name,
        "opacity": heat.opacity,
        "colours": _packed(heat_colours()),
        "slices": {
            str(index): {"rows": one.shape[0], "columns": one.shape[1], "values": _packed(one)}
            for index, one in heat.slices.items()
        },
    }


def _packed(values: npt.NDArray[np.uint8]) -> str:
    return b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def _comparison_header(comparison: Comparison) -> dict[str, Any]:
    return {
        "left": comparison.left,
        "right": comparison.right,
        "masks": [list(comparison.left_masks), list(comparison.right_masks)],
        "aside": comparison.aside,
    }
