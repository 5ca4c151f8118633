"""Charts on a page, all shown in one way."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.ui.charts.style import in_light_theme
from core.ui.theme import is_light

Chart = Any
"""A Plotly figure of `core.ui.charts`."""


def show_chart(
    chart: Chart, *, key: str, file_name: str | None = None, always_dark: bool = False
) -> None:
    """A chart in its own style, in the theme of the page.

    Args:
        file_name: gives the chart buttons to zoom and to save it under that name, as a PNG of
            twice the size.
        always_dark: for what stands in place of the scan, which is dark in both themes.
    """
    if is_light() and not always_dark:
        chart = in_light_theme(chart)
    if file_name is None:
        config: dict[str, Any] = {"displayModeBar": False}
    else:
        config = {
            "displaylogo": False,
            "toImageButtonOptions": {"format": "png", "scale": 2, "filename": file_name},
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
        }
    st.plotly_chart(chart, theme=None, key=key, config=config)
