"""Which pages there are, and which parts they have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st

from core.ui.access import may_enter, show_login
from core.ui.session import this_session
from core.ui.streamlit_internals import main_script_name
from core.ui.widget_state import set_first_value, set_widget_value

ENTRY_SCRIPT = "streamlit_app.py"
HOME_PAGE = "pages/home.py"
VIEW_PAGE = "pages/view.py"
PREPROCESS_PAGE = "pages/preprocess.py"
QUALITY_PAGE = "pages/quality.py"
REPORT_PAGE = "pages/report.py"
FOLLOW_UP_PAGE = "pages/follow_up.py"
COHORT_PAGE = "pages/cohort.py"
EVALUATE_PAGE = "pages/evaluate.py"
TRAIN_PAGE = "pages/train.py"
_BESIDE_HOME = (
    VIEW_PAGE,
    PREPROCESS_PAGE,
    QUALITY_PAGE,
    REPORT_PAGE,
    FOLLOW_UP_PAGE,
    COHORT_PAGE,
    EVALUATE_PAGE,
    TRAIN_PAGE,
)


@dataclass(frozen=True)
class Part:
    """One of the parts that a page has; it is drawn alone.

    Attributes:
        page: script of the page.
        name: stands in the address, as `part`.
        label: what people read.
    """

    page: str
    name: str
    label: str


BROWSE = Part(VIEW_PAGE, "browse", "Browse")
SEGMENT = Part(VIEW_PAGE, "segment", "Segment")
CLASSIFY = Part(VIEW_PAGE, "classify", "Classify (experimental)")
ENHANCE = Part(PREPROCESS_PAGE, "enhance", "Enhance")
REGION = Part(PREPROCESS_PAGE, "region", "Region of interest")
TRAIN = Part(TRAIN_PAGE, "train", "Train")
AUGMENTATION = Part(TRAIN_PAGE, "augmentation", "Augmentation")
PARTS = (BROWSE, SEGMENT, CLASSIFY, ENHANCE, REGION, TRAIN, AUGMENTATION)
"""The first of a page is the one it opens with."""

MOVED = tuple(part for part in PARTS if part is not TRAIN)
"""Parts that were pages; their addresses, such as `/browse`, lead to the part."""


def parts_of(page: str) -> tuple[Part, ...]:
    """The parts of a page, in their order; none where it has none."""
    return tuple(part for part in PARTS if part.page == page)


def choose_part(page: str) -> Part:
    """The row of a page's parts, and the one that is chosen; at first the address says which."""
    parts = parts_of(page)
    key = f"part of {page}"
    asked = this_session().asked_part
    this_session().asked_part = ""
    in_address = st.query_params.get("part")
    labels = {part.name: part.label for part in parts}
    set_first_value(key, in_address if in_address in labels else parts[0].name)
    if asked in labels:
        set_widget_value(key, asked)
    chosen = st.segmented_control(
        "Part of the page",
        tuple(labels),
        format_func=lambda name: labels[name],
        key=key,
        required=True,
        persist_state="session",
        label_visibility="collapsed",
        help="What the page is for; the scan and the place in it stay.",
    )
    part = next((part for part in parts if part.name == chosen), parts[0])
    this_session().part_of_page = "" if part is parts[0] else part.name
    return part


def part_in_address() -> dict[str, str]:
    """What the address says of the part that is drawn; nothing of the first one."""
    name = this_session().part_of_page
    return {"part": name} if name else {}


def go_to(where: str | Part) -> None:
    """Leaves for another page, or for a part of one."""
    if isinstance(where, Part):
        this_session().asked_part = where.name
        where = where.page
    st.switch_page(where)


def _move(part: Part) -> None:
    """What is drawn at the address of a page that has become a part."""
    this_session().asked_part = part.name
    st.switch_page(part.page, query_params=st.query_params.to_dict())


def run_chosen_page() -> None:
    """Draws the navigation and runs the page that was chosen; before a login, that alone."""
    if not may_enter():
        _login_at_every_address().run()
        return
    this_session().navigated = True
    _navigation().run()


def _login_at_every_address() -> st.Page:
    """The login in place of every page: of an address that it does not know, Streamlit says that
    there is no such page."""
    names = (*(Path(page).stem for page in _BESIDE_HOME), *(part.name for part in MOVED))
    pages = [st.Page(partial(show_login), title="LungLens", url_path=name) for name in names]
    home = st.Page(show_login, title="LungLens", default=True)
    return st.navigation([home, *pages], position="hidden")


def take_over_navigation() -> None:
    """Brings a page that Streamlit ran by itself under our navigation.

    Until the entry script has run once, a link straight to a page of a folder named `pages`
    makes Streamlit run that page alone, with a navigation it makes up from file names. Setting
    our navigation makes it run the entry script, from the next run on.
    """
    if main_script_name() != ENTRY_SCRIPT:
        return
    if not this_session().navigated:
        _navigation()
        st.rerun()


def _navigation() -> st.Page:
    # Without icons: the browser would fetch them, as the tab's icon, from a server of others.
    return st.navigation(
        {
            "Scan": [
                st.Page(HOME_PAGE, title="Home", default=True),
                st.Page(VIEW_PAGE, title="View"),
                st.Page(PREPROCESS_PAGE, title="Preprocess"),
                st.Page(QUALITY_PAGE, title="Quality"),
                st.Page(REPORT_PAGE, title="Report"),
                *(_old_page(part) for part in MOVED),
            ],
            "Compare": [
                st.Page(FOLLOW_UP_PAGE, title="Follow-up"),
                st.Page(COHORT_PAGE, title="Cohort"),
            ],
            "Models": [
                st.Page(EVALUATE_PAGE, title="Evaluate"),
                st.Page(TRAIN_PAGE, title="Train"),
            ],
        },
        # Else a list of more than twelve hides its end, and the hidden ones count.
        expanded=True,
    )


def _old_page(part: Part) -> st.Page:
    draw: Callable[[], None] = partial(_move, part)
    return st.Page(draw, title=part.label, url_path=part.name, visibility="hidden")
