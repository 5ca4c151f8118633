"""Loose slices in the viewer: upright, with their own masks, kept while they stay the same."""

from __future__ import annotations

import numpy as np
from streamlit.testing.v1 import AppTest

from core.ui.scan.slice_stack import SliceStack, SliceStacks
from core.ui.viewer import ViewerScan
from core.ui.viewer.header import make_header
from tests.app_session import session_of
from tests.studies import small_study


def _app() -> None:
    import numpy as np
    import streamlit as st

    from core.ui.scan.slice_stack import show_stack

    images = np.zeros((2, 16, 24), dtype=np.uint8)
    images[0, 3, 5] = 200
    images[1, 10, 20] = st.session_state.get("level", 100)
    masks = np.zeros((2, 16, 24, 1), dtype=np.bool_)
    masks[0, 3, 5] = True
    show_stack(images, masks, channels=("infection",), key="loose", name="slices")


def _stack(app: AppTest) -> SliceStack:
    assert not app.exception
    stack: SliceStack = session_of(app).part(SliceStacks).by_key["loose"]
    return stack


def test_a_picture_lies_as_it_was_drawn_with_its_mask() -> None:
    stack = _stack(AppTest.from_function(_app).run())
    # Axial slices are shown as array[:, :, k].T.
    assert stack.volume.array[:, :, 0].T[3, 5] == 200
    assert stack.volume.array[:, :, 1].T[10, 20] == 100
    assert stack.truth.lung is None
    assert stack.truth.infection is not None
    assert np.argwhere(stack.truth.infection).tolist() == [[5, 3, 0]]
    assert stack.volume.spacing_nominal


def test_the_same_slices_stay_and_others_come_at_the_same_place() -> None:
    app = AppTest.from_function(_app).run()
    first = _stack(app)
    first.place.go_to(voxel=(5, 3, 1))
    assert _stack(app.run()) is first
    app.session_state["level"] = 50
    later = _stack(app.run())
    assert later is not first
    assert later.place.slice_index == 1
    assert later.volume.array[:, :, 1].T[10, 20] == 50


def test_sides_are_lettered_only_where_they_are_known() -> None:
    stack = _stack(AppTest.from_function(_app).run())
    study = small_study()
    for volume, known in ((stack.volume, False), (study.volume, True)):
        scan = ViewerScan(owner=volume, volume=volume)
        header = make_header(
            scan,
            stack.place,
            key="any",
            comparison=None,
            drawings=(),
            heat=None,
            tools="few",
            tallest=0.5,
            marks=None,
        )
        assert header["scans"][0]["oriented"] is known
