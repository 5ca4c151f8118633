"""Notes, arrows, distances and regions: what they are, and reading them from JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, get_args

from core.config import Plane
from core.errors import AnnotationError
from core.volume import PLANE_AXIS

Kind = Literal["note", "arrow", "distance", "region"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_POINTS: dict[str, int] = {"note": 1, "arrow": 2, "distance": 2, "region": 2}
MOST_ANNOTATIONS = 500
MOST_CHARACTERS = 500
"""Of the text of one annotation."""


@dataclass(frozen=True)
class Annotation:
    """One thing that a person has placed on a slice.

    Attributes:
        plane, index: the slice, counted from 0.
        points: (column, row) on the picture of the slice (`core.volume.plane_slice`), in voxels;
            whole numbers lie between voxels. A note has one; an arrow two, from its end to its
            head; a distance two; a region two opposite corners of the box around its ellipse.
        text: what the person has written; may be empty.
    """

    kind: Kind
    plane: Plane
    index: int
    points: tuple[tuple[float, float], ...]
    text: str = ""


def annotations_json(annotations: Sequence[Annotation]) -> list[dict[str, Any]]:
    """The annotations as plain JSON values."""
    return [
        {
            "kind": one.kind,
            "plane": one.plane,
            "index": one.index,
            "points": [[round(at, 3) for at in point] for point in one.points],
            "text": one.text,
        }
        for one in annotations
    ]


def read_annotations(found: Any, shape: tuple[int, int, int]) -> tuple[Annotation, ...]:
    """The inverse of `annotations_json`, for values that anybody may have written.

    Args:
        shape: of the scan.

    Raises:
        AnnotationError: they are none, or do not lie in such a scan.
    """
    if not isinstance(found, list) or len(found) > MOST_ANNOTATIONS:
        raise _unreadable("no list of annotations, or a list that is too long")
    return tuple(_read(one, shape) for one in found)


def _read(found: Any, shape: tuple[int, int, int]) -> Annotation:
    if not isinstance(found, dict):
        raise _unreadable("an entry that is not an annotation")
    kind = next((kind for kind in KINDS if kind == found.get("kind")), None)
    plane = next((plane for plane in PLANE_AXIS if plane == found.get("plane")), None)
    index, points, text = found.get("index"), found.get("points"), found.get("text", "")
    if kind is None or plane is None:
        raise _unreadable("an unknown kind or plane")
    if not _is_whole(index) or not 0 <= index < shape[PLANE_AXIS[plane]]:
        raise _unreadable("a slice that the scan does not have")
    if not isinstance(points, list) or len(points) != _POINTS[kind]:
        raise _unreadable(f"a number of points other than {_POINTS[kind]}")
    if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
        raise _unreadable(f"a text of more than {MOST_CHARACTERS} characters")
    return Annotation(kind, plane, index, tuple(map(_point, points)), text)


def _point(found: Any) -> tuple[float, float]:
    if not isinstance(found, list) or len(found) != 2 or not all(map(_is_place, found)):
        raise _unreadable("a point that is not a pair of numbers")
    return float(found[0]), float(found[1])


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_place(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) < 1e6


def _unreadable(got: str) -> AnnotationError:
    return AnnotationError(
        "The notes and marks of a scan cannot be read", got=got, expected="those of this scan"
    )
