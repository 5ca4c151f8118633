"""Model cards: the templates of all kinds of weights, filled from a manifest.

Each kind has a template beside this file (`*.md.j2`) that extends `card.md.j2`. Every number in a
card comes from the manifest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.system import number_text, percent_text


def render_card(template: str, **values: Any) -> str:
    """The card of a template, as Markdown.

    Args:
        template: name without its endings, such as "segmentation".
        values: all that the template uses; a missing one raises.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=False,  # Markdown, which Streamlit shows without HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = number_text
    environment.filters["percent"] = percent_text
    return environment.get_template(f"{template}.md.j2").render(**values)
