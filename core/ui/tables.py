"""Small tables of numbers, aligned under each other and readable by screen readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

_STYLE = """<style>
.numbers { width: 100%; border-collapse: collapse; font-size: 0.92rem;
  font-variant-numeric: tabular-nums; margin: 0 0 0.4rem; }
.numbers-scroll { overflow-x: auto; }
.numbers th, .numbers td { padding: 0.32rem 0 0.32rem 0.8rem; text-align: right;
  white-space: nowrap; border-bottom: 1px solid var(--line); font-weight: 400; }
.numbers th:first-child { padding-left: 0; text-align: left; color: var(--quiet); }
.numbers thead th { color: var(--quiet); font-size: 0.86rem; }
.numbers thead tr:first-child th { border-bottom: 0; padding-bottom: 0; color: inherit; }
.numbers thead tr:first-child th.several { text-align: center; }
.numbers .undefined { color: var(--faint); font-size: 0.84rem; }
.facts td, .facts th { text-align: left; vertical-align: top; white-space: normal;
  overflow-wrap: anywhere; }
.facts th { white-space: nowrap; width: 1%; }
</style>"""

_WORDS = ("not defined", "not known", "no mask")


def show_number_table(
    groups: Mapping[str, Mapping[str, Sequence[str]]], *, rows: Sequence[str], caption: str
) -> None:
    """Columns of ready-made texts under group headings.

    Args:
        groups: heading → column name → one text per row.
        rows: the names of the rows.
        caption: what the table holds, for people who hear it read.
    """
    columns = [column for group in groups.values() for column in group.values()]
    top = "".join(
        f'<th colspan="{len(group)}" scope="colgroup"{_several(group)}>{escape(name)}</th>'
        for name, group in groups.items()
    )
    names = "".join(
        f'<th scope="col">{escape(name)}</th>' for group in groups.values() for name in group
    )
    lines = "".join(
        f'<tr><th scope="row">{escape(row)}</th>'
        + "".join(_cell(column[index]) for column in columns)
        + "</tr>"
        for index, row in enumerate(rows)
    )
    st.html(
        f'{_STYLE}<div class="numbers-scroll"><table class="numbers" aria-label="'
        f'{escape(caption, quote=True)}"><thead><tr><th></th>{top}</tr>'
        f"<tr><th></th>{names}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def show_facts(facts: Mapping[str, str], *, caption: str) -> None:
    """Label and value, line by line; both may come from a file."""
    lines = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(value)}</td></tr>'
        for label, value in facts.items()
    )
    st.html(
        f'{_STYLE}<table class="numbers facts" aria-label="{escape(caption, quote=True)}">'
        f"<tbody>{lines}</tbody></table>"
    )


def _several(columns: Mapping[str, Sequence[str]]) -> str:
    return ' class="several"' if len(columns) > 1 else ""


def _cell(text: str) -> str:
    kind = ' class="undefined"' if text in _WORDS else ""
    return f"<td{kind}>{escape(text)}</td>"
