"""Cells of tables of measurements, each with its definition and source on hover and on focus."""

from __future__ import annotations

from html import escape

from core.measuring.biomarkers import Measurement


def measurement_cell(figure: Measurement) -> str:
    """The value of a measurement."""
    return explained_cell(figure.text, figure, undefined=not figure.defined)


def explained_cell(text: str, figure: Measurement, *, undefined: bool = False) -> str:
    """A cell that shows, on hover and on focus, the definition and source of its value."""
    kind = "explained undefined" if undefined else "explained"
    return f'<td class="{kind}" tabindex="0">{escape(text)}{_tooltip(figure)}</td>'


def explained_header(figure: Measurement) -> str:
    """The name of a row, which shows them in place of its cells."""
    label = escape(figure.label)
    return f'<th class="explained" scope="row" tabindex="0">{label}{_tooltip(figure)}</th>'


def _tooltip(figure: Measurement) -> str:
    reason = f"<i>Not defined: {escape(figure.reason)}</i>" if figure.reason else ""
    return (
        f'<span role="tooltip">{escape(figure.label)}. {escape(figure.definition)}{reason}'
        f"<i>Source: {escape(figure.source)}</i></span>"
    )
