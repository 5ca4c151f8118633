"""What to be careful about in the open scan: one chip beside the figures, which opens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from core.measuring.biomarkers import Biomarkers
from core.measuring.quality import slice_ranges
from core.ui.scan.scan_check import known_report
from core.ui.session import OpenStudy
from core.ui.text import escape_markdown


def show_doubts(current: OpenStudy, *, key: str, found: Biomarkers | None = None) -> None:
    """The chip, with the shortest words for what is doubtful, and the sentences in it; nothing
    where there is no doubt.

    Args:
        found: what was measured of the masks that are shown.
    """
    doubts = doubts_of(current, found)
    if not doubts:
        return
    titles = titles_of(current, found)
    many = f"{len(doubts)} note{'s' if len(doubts) > 1 else ''} on these figures"
    label = " · ".join(titles) if titles else many
    with st.popover(escape_markdown(label), icon=":material/info:", key=f"doubts-{key}"):
        st.markdown("\n".join(f"- {escape_markdown(doubt)}" for doubt in doubts))


def doubts_of(current: OpenStudy, found: Biomarkers | None = None) -> tuple[str, ...]:
    """Sentences on what makes measurements of the open scan doubtful."""
    notes: list[str] = [*current.study.volume.warnings]
    if current.segmentation is not None:
        notes += current.segmentation.warnings
    damaged = _damaged(current)
    if damaged:
        notes.append(f"Slices that seem damaged: {slice_ranges(damaged)}. Quality shows how.")
    if found is not None:
        notes += found.notes
    return tuple(dict.fromkeys(notes))


def titles_of(current: OpenStudy, found: Biomarkers | None = None) -> tuple[str, ...]:
    """What the chip says: a word or two on each kind of doubt that has a name."""
    volume, run = current.study.volume, current.segmentation
    names = {
        "not HU": volume.unit != "HU",
        "voxel size not known": volume.spacing_nominal,
        "damaged slices": bool(_damaged(current)),
        "one lung": found is not None and found.split == "one lung",
    }
    if run is not None:
        names |= {
            _covered(current): bool(_covered(current)),
            "voxel size seems wrong": bool(run.size_doubt),
            "noise": run.is_noisy,
            "uneven slices": run.record.stretch is not None,
            "picture was turned": bool(run.record.quarter_turns),
        }
    return tuple(name for name, holds in names.items() if holds)


def _covered(current: OpenStudy) -> str:
    """How much of the lungs the scan covers, where it is not all."""
    run = current.segmentation
    coverage = None if run is None else run.coverage
    if coverage is None or not (coverage.below or coverage.above):
        return ""
    height = coverage.height_mm
    if height is None or math.isnan(height):
        return "lungs cut off"
    return f"only {height:.0f}\u00a0mm covered"


def _damaged(current: OpenStudy) -> Sequence[int]:
    report = known_report(current)
    return () if report is None else sorted(report.damaged_slices)
