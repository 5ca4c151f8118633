"""Masks and a person's strokes come in; corrected masks and all steps back go out."""

from core.correction.correction import Correction
from core.correction.edits import (
    BackToNetwork,
    Change,
    CopySlice,
    Edit,
    Interpolate,
    Paint,
    TogglePart,
)
from core.correction.history import Act, Base, Redo, SliceAt, Step, Undo
from core.correction.record import HandCorrection
from core.correction.runs import Runs, read_runs, runs_of

__all__ = [
    "Act",
    "BackToNetwork",
    "Base",
    "Change",
    "CopySlice",
    "Correction",
    "Edit",
    "HandCorrection",
    "Interpolate",
    "Paint",
    "Redo",
    "Runs",
    "SliceAt",
    "Step",
    "TogglePart",
    "Undo",
    "read_runs",
    "runs_of",
]
