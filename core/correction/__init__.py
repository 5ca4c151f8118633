"""Masks and a person's strokes come in; corrected masks and all steps back go out."""

from core.correction.correction import Change, Correction
from core.correction.edits import (
    BackToNetwork,
    CopySlice,
    Edit,
    Interpolate,
    Paint,
    Redo,
    TogglePart,
    Undo,
)
from core.correction.history import SliceAt
from core.correction.record import HandCorrection
from core.correction.runs import Runs, read_runs, runs_of

__all__ = [
    "BackToNetwork",
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
    "TogglePart",
    "Undo",
    "read_runs",
    "runs_of",
]
