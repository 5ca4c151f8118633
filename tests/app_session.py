"""Pages under test, and their sessions."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from core.ui.navigation import PARTS
from core.ui.session import SESSION_KEY, Session

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
PARTS_AND_PAGES = sorted({*SCRIPTS, *(part.name for part in PARTS)} - {"view", "preprocess"})
"""Every page without parts, and every part of the others."""


def app_at(name: str) -> AppTest:
    """A page, or the page of a part with that part chosen, before its first run."""
    script, chosen = script_of(name)
    app = AppTest.from_file(str(script), default_timeout=60)
    if chosen:
        session_of(app).asked_part = chosen
    return app


def script_of(name: str) -> tuple[Path, str]:
    """The script of a page or part, and the part."""
    part = next((part for part in PARTS if part.name == name), None)
    return (ROOT / "pages" / f"{name}.py", "") if part is None else (ROOT / part.page, part.name)


def session_of(app: AppTest) -> Session:
    """What the app keeps for the person at this page; a new one before its first run."""
    if SESSION_KEY not in app.session_state:
        app.session_state[SESSION_KEY] = Session()
    return app.session_state[SESSION_KEY]
