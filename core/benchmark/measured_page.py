"""The page that `python -m core benchmark --browser` measures; not part of the app.

The address chooses the viewer (`?show=viewer`), the part Browse with masks to correct
(`?show=correct`) or, for comparison, a plain Streamlit widget (`?show=image`, `?show=plotly`). The
generated scan's size comes from the environment.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import streamlit as st

from core.config import WINDOW_PRESETS
from core.correction import HandCorrection
from core.phantom import build_demo_study
from core.segmentation import drawn_by_hand
from core.ui.scan.browse import show_browse
from core.ui.session import this_session
from core.ui.viewer import Place, ViewerScan, show_viewer, slice_routes
from core.volume import Array, BoolArray, MaskPair, Study, volume_from_file

SIZE_VARIABLE = "LUNGLENS_BENCHMARK_SIZE"
_GENERATED_SLICES = 96


class _Owner:
    """Stands for a session's open study."""


@st.cache_resource(show_spinner=False)
def _study() -> Study:
    """The demo study at the wanted size; more slices than it has repeat it."""
    columns, rows, slices = map(int, os.environ[SIZE_VARIABLE].split("x"))
    study = build_demo_study(shape=(columns, rows, min(slices, _GENERATED_SLICES)))
    wanted = np.arange(slices) % study.volume.shape[2]

    def repeated(array: Array | BoolArray | None) -> Array | None:
        return None if array is None else np.asfortranarray(array[:, :, wanted])

    volume = volume_from_file(
        study.volume.array[:, :, wanted],
        study.volume.affine,
        intensity=study.volume.intensity,
        name="generated",
        format="generated",
    )
    truth = study.truth or MaskPair(None, None)
    return Study(volume, MaskPair(repeated(truth.lung), repeated(truth.infection)))


def _show_viewer(study: Study) -> None:
    if "place" not in st.session_state:
        st.session_state["owner"] = _Owner()
        i, j, k = (count // 2 for count in study.volume.shape)
        st.session_state["place"] = Place((i, j, k))
    scan = ViewerScan(st.session_state["owner"], study.volume, study.truth, name="generated")
    show_viewer(scan, st.session_state["place"], key="viewer")


def _show_browse(study: Study) -> None:
    """The part Browse of View, with the masks as if a network had made them."""
    session = this_session()
    if session.opened is None:
        unmarked = replace(study, truth=None)
        current = session.open_study(unmarked, origin="upload", link="generated")
        masks = study.truth or MaskPair(None, None)
        current.set_segmentation(
            drawn_by_hand(study.volume, masks, HandCorrection(from_network=True, steps=0))
        )
    assert session.opened is not None
    show_browse(session.opened)


def _show_widget(study: Study, kind: str) -> None:
    """A slider and a picture as Streamlit has them, for the same slices in grey."""
    count = study.volume.shape[2]
    index = st.slider("Slice", 0, count - 1, count // 2)
    preset = WINDOW_PRESETS[0]
    values = study.volume.array[:, :, index].T.astype(np.float32)
    low = preset.center - preset.width / 2
    grey = np.clip((values - low) * (255 / preset.width), 0, 255).astype(np.uint8)
    if kind == "image":
        st.image(grey, output_format="PNG")
    else:
        heatmap = {"type": "heatmap", "z": grey, "colorscale": "Greys", "showscale": False}
        st.plotly_chart({"data": [heatmap], "layout": {"height": 640}}, key="plotly")


def _show(kind: str) -> None:
    st.set_page_config(layout="wide")
    study = _study()
    if kind == "viewer":
        _show_viewer(study)
    elif kind == "correct":
        _show_browse(study)
    elif kind in ("image", "plotly"):
        _show_widget(study, kind)
    else:
        st.text("The scan is ready")


if __name__ == "__main__":
    # Browse writes an address of its own.
    st.session_state.setdefault("show", st.query_params.get("show", ""))
    _show(st.session_state["show"])
else:
    app = st.App(__file__, routes=slice_routes())
