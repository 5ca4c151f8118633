"""The viewer alone on a page, as browser tests meet it: `streamlit run tests/viewer_page.py`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from core.measuring.lobes import Lobes
from core.ui.viewer import (
    Box,
    Comparison,
    Line,
    Place,
    ViewerScan,
    lobe_routes,
    show_viewer,
    slice_routes,
)
from core.volume import Intensity, MaskPair, Volume, volume_from_file
from tests.new_session import begin_anew, viewer_key

SHAPE = (60, 90, 20)
SPACING_MM = (2.0, 1.0, 5.0)


class Owner:
    """Stands for a session's open study."""


def marked_corner() -> Volume:
    """Air with a bright block at the patient's left, front and head, stored flipped.

    60×90×20 voxels of 2×1×5 mm towards right, front and feet in the file.
    """
    array = np.full(SHAPE, -1000, dtype=np.int16)
    array[:15, -30:, :5] = 1000
    affine = np.diag([*SPACING_MM[:2], -SPACING_MM[2], 1.0])
    return volume_from_file(
        array, affine, intensity=Intensity("HU", "made in HU"), name="corner", format="generated"
    )


def masks(volume: Volume, shift: int = 0) -> MaskPair:
    """The block as infection, moved along the first axis."""
    infection = np.asfortranarray(np.roll(volume.array > 0, -shift, axis=0))
    return MaskPair(lung=None, infection=infection)


def lobed(scan: ViewerScan) -> ViewerScan:
    """The whole scan as lung, its lower half as the left lower lobe, and the block infected."""
    labels = np.ones(SHAPE, dtype=np.uint8, order="F")
    labels[:, :, : SHAPE[2] // 2] = 5
    assert scan.truth is not None
    masks = MaskPair(np.ones(SHAPE, dtype=np.bool_, order="F"), scan.truth.infection)
    return replace(scan, truth=None, prediction=masks, lobes=Lobes(labels, mean_dice=0.9))


def show(mode: str) -> None:
    """What a test asks for in the address."""
    keep = st.session_state
    if (
        "prediction" not in keep
    ):  # what is set last: a run that another one interrupts leaves a part
        keep.owner, keep.other, keep.place = Owner(), Owner(), Place((30, 45, 17))
        keep.volume = marked_corner()
        keep.truth, keep.prediction = masks(keep.volume), masks(keep.volume, 5)
    scan = ViewerScan(keep.owner, keep.volume, keep.truth, keep.prediction, name="corner")
    if mode == "scans":
        shorter = replace(keep.volume, array=np.asfortranarray(keep.volume.array[:, :, ::2]))
        comparison = Comparison("First", "Second", scan=ViewerScan(keep.other, shorter))
        show_viewer(scan, keep.place, key=viewer_key(), comparison=comparison)
    elif mode == "lobes":
        show_viewer(lobed(scan), keep.place, key=viewer_key())
    elif mode == "turned":
        show_viewer(replace(scan, turns=1), keep.place, key=viewer_key())
    else:
        drawings = [Box((10, 20, 5), (40, 60, 15), "Box"), Line(((0.0, 0.0), (60.0, 90.0)))]
        chosen = drawings if mode == "drawings" else []
        show_viewer(scan, keep.place, key=viewer_key(), drawings=chosen)
    st.button("Begin anew", on_click=begin_anew)
    st.button("Run again", on_click=lambda: keep.update(runs=keep.get("runs", 0) + 1))
    if st.button("Go to slice 3"):
        keep.place.go_to(plane="axial", voxel=(30, 45, 2))
        st.rerun()
    if st.button("Other masks"):
        keep.prediction = masks(keep.volume, 9)
        st.rerun()
    place: Place = keep.place
    st.text(f"Python knows {place.plane} {place.voxel} {place.window.center:.0f}")


if __name__ == "__main__":
    show(st.query_params.get("mode", "scan"))
else:
    app = st.App(__file__, routes=[*slice_routes(), *lobe_routes()])
