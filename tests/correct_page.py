"""The viewer with masks to correct, as browser tests meet it:
`streamlit run tests/correct_page.py`."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.correction import Correction
from core.ui.viewer import Place, ViewerScan, show_viewer, slice_routes
from core.volume import Intensity, MaskPair, Volume, volume_from_file

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


def show(mode: str) -> None:
    """What a test asks for in the address: "network" or "nothing"."""
    keep = st.session_state
    if "owner" not in keep:
        keep.owner, keep.place, keep.volume = Owner(), Place((30, 45, 9)), scan()
        keep.masks = None if mode == "nothing" else network()
        keep.correction = Correction(keep.volume, keep.masks)
    shown = ViewerScan(
        keep.owner, keep.volume, prediction=keep.masks, correction=keep.correction, name="rising"
    )
    show_viewer(shown, keep.place, key="viewer")
    correction: Correction = keep.correction
    st.text(f"Python knows revision {correction.revision}, {correction.steps} steps")


if __name__ == "__main__":
    show(st.query_params.get("mode", "network"))
else:
    app = st.App(__file__, routes=slice_routes())
