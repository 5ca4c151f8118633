"""The viewer with masks to correct, as browser tests meet it:
`streamlit run tests/correct_page.py`."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.annotation import measured_text
from core.correction import Correction
from core.ui.viewer import Notebook, Place, ViewerScan, show_viewer, slice_routes
from core.volume import Intensity, MaskPair, Volume, volume_from_file
from tests.new_session import begin_anew, viewer_key

SHAPE = (60, 90, 20)
SPACING_MM = (2.0, 1.0, 5.0)


class Owner:
    """Stands for a session's open study."""


def scan() -> Volume:
    """60×90×20 voxels of 2×1×5 mm towards right, front and feet in the file; -1000 HU at the
    right-hand side, and 20 HU more each voxel to the left."""
    rising = np.broadcast_to(np.arange(SHAPE[0])[:, None, None], SHAPE)
    canonical = (-1000 + 20 * rising).astype(np.int16)
    return volume_from_file(
        np.ascontiguousarray(canonical[::-1, ::-1, ::-1]),
        np.diag([*SPACING_MM[:2], -SPACING_MM[2], 1.0]),
        intensity=Intensity("HU", "made in HU"),
        name="rising",
        format="generated",
    )


def network() -> MaskPair:
    """A block of lung, with a block of infection in it."""
    lung = np.zeros(SHAPE, dtype=bool, order="F")
    lung[5:50, 10:80, 2:18] = True
    infection = np.zeros_like(lung)
    infection[20:30, 30:50, 6:12] = True
    return MaskPair(lung, infection)


def moved(pair: MaskPair, by: int) -> MaskPair:
    """Another network's masks: the same blocks, farther to the left."""
    assert pair.lung is not None
    assert pair.infection is not None
    lung, infection = (np.roll(one, by, axis=0) for one in (pair.lung, pair.infection))
    return MaskPair(np.asfortranarray(lung), np.asfortranarray(infection))


def show(mode: str) -> None:
    """What a test asks for in the address: "network", "nothing", or "pair" with true masks and
    those of a second network, and with marks that are kept."""
    keep = st.session_state
    if "truth" not in keep:  # what is set last: a run that another one interrupts leaves a part
        keep.owner, keep.place, keep.volume = Owner(), Place((30, 45, 9)), scan()
        keep.masks = None if mode == "nothing" else network()
        keep.correction = Correction(keep.volume, keep.masks)
        keep.placed, keep.command = (), 0
        keep.second = moved(keep.masks, 3) if mode == "pair" else None
        keep.truth = moved(keep.masks, 1) if mode == "pair" else None
    shown = ViewerScan(
        keep.owner,
        keep.volume,
        truth=keep.truth,
        prediction=keep.masks,
        second=keep.second,
        correction=keep.correction,
        name="rising",
    )
    notebook = None
    if mode == "pair":
        notebook = Notebook(keep.placed, keep.command, "", lambda items: keep.update(placed=items))
    show_viewer(shown, keep.place, key=viewer_key(), notebook=notebook)
    for one in keep.placed:
        st.text(f"{one.kind} {one.plane} {one.index}: {one.text} {measured_text(one, keep.volume)}")
    st.button("Begin anew", on_click=begin_anew)
    if keep.placed and st.button("Delete the first"):
        keep.placed, keep.command = keep.placed[1:], keep.command + 1
        st.rerun()
    correction: Correction = keep.correction
    st.text(f"Python knows revision {correction.revision}, {correction.steps} steps")


if __name__ == "__main__":
    show(st.query_params.get("mode", "network"))
else:
    app = st.App(__file__, routes=slice_routes())
