"""What a project holds beside masks: how the scan was looked at, notes and marks."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from core.annotation import Annotation, annotations_json, read_annotations
from core.config import Plane, PostprocessConfig, read_json, whole_number
from core.errors import AnnotationError, ProjectError
from core.system import json_text, write_text
from core.volume import PLANE_AXIS

STATE_VERSION = 1
STATE_NAME = "state.json"
MOST_NOTES = 20_000
"""Characters of the notes on a scan."""


@dataclass(frozen=True)
class ProjectState:
    """How a scan was looked at, and what was written on it.

    Attributes:
        weights_id: of the network's masks; empty where none has run.
        lung_threshold, infection_threshold: of these masks; none where none has run.
        plane, voxel: where the person was; none before a viewer has shown the scan.
        window_center, window_width: the grey scale, in HU.
        notes: on the whole scan.
        annotations: notes, arrows, distances and regions on slices.
    """

    weights_id: str = ""
    lung_threshold: float | None = None
    infection_threshold: float | None = None
    plane: Plane | None = None
    voxel: tuple[int, int, int] | None = None
    window_center: float | None = None
    window_width: float | None = None
    notes: str = ""
    annotations: tuple[Annotation, ...] = ()

    def with_thresholds(self, postprocess: PostprocessConfig) -> PostprocessConfig:
        """Settings of the clean-up with the thresholds that were chosen, where any were."""
        lung, infection = self.lung_threshold, self.infection_threshold
        if lung is None or infection is None:
            return postprocess
        return replace(postprocess, lung_threshold=lung, infection_threshold=infection)

    @property
    def written_on(self) -> bool:
        """Whether a person has written or placed anything."""
        return bool(self.notes or self.annotations)


def write_state(folder: Path, state: ProjectState) -> None:
    """Writes the state of a project whole or not at all.

    Raises:
        SaveError: it cannot be written.
    """
    values = {one.name: getattr(state, one.name) for one in fields(state)}
    values["annotations"] = annotations_json(state.annotations)
    write_text(folder / STATE_NAME, json_text({"version": STATE_VERSION, **values}) + "\n")


def read_state(folder: Path, shape: tuple[int, int, int]) -> ProjectState:
    """The state of a project; an empty one where it has none.

    Args:
        shape: of the scan.

    Raises:
        ProjectError: it is damaged, or was written by a later version.
    """
    path = folder / STATE_NAME
    if not path.exists():
        return ProjectState()
    try:
        found = read_json(path)
        check_version(found["version"], STATE_VERSION)
        return _checked(found, shape)
    except (AnnotationError, KeyError, TypeError, ValueError) as error:
        raise ProjectError(
            "The settings and notes of a project cannot be read", got=f"a damaged {STATE_NAME}"
        ) from error


def check_version(found: Any, known: int) -> None:
    """Whether a file of a project is of a version that can be read.

    Raises:
        ProjectError: it is of a later one.
        ValueError: it is of none.
    """
    if whole_number(found, least=1) > known:
        raise ProjectError(
            "A project was written by a later version of LungLens",
            got=f"version {found}",
            expected=f"at most {known}",
            next_step="open it with that version",
        )


def _checked(found: dict[str, Any], shape: tuple[int, int, int]) -> ProjectState:
    notes, weights_id = str(found["notes"]), str(found["weights_id"])
    if len(notes) > MOST_NOTES or len(weights_id) > 200:
        raise ValueError("too long a text")
    voxel = found["voxel"]
    if voxel is not None:
        i, j, k = (min(max(int(at), 0), count - 1) for at, count in zip(voxel, shape, strict=True))
        voxel = (i, j, k)
    return ProjectState(
        weights_id=weights_id,
        lung_threshold=_number(found["lung_threshold"], 0.01, 0.99),
        infection_threshold=_number(found["infection_threshold"], 0.01, 0.99),
        plane=next((plane for plane in PLANE_AXIS if plane == found["plane"]), None),
        voxel=voxel,
        window_center=_number(found["window_center"], -1e5, 1e5),
        window_width=_number(found["window_width"], 1.0, 1e5),
        notes=notes,
        annotations=read_annotations(found["annotations"], shape),
    )


def _number(found: Any, low: float, high: float) -> float | None:
    if found is None:
        return None
    value = float(found)
    if not low <= value <= high:
        raise ValueError("a number out of range")
    return value
