"""Which pages there are."""

from __future__ import annotations

import streamlit as st

from core.ui.access import may_enter, show_login
from core.ui.session import this_session
from core.ui.streamlit_internals import main_script_name

ENTRY_SCRIPT = "streamlit_app.py"
HOME_PAGE = "pages/home.py"
BROWSE_PAGE = "pages/browse.py"
SEGMENT_PAGE = "pages/segment.py"
CLASSIFY_PAGE = "pages/classify.py"
ENHANCE_PAGE = "pages/enhance.py"
REGION_PAGE = "pages/region.py"
QUALITY_PAGE = "pages/quality.py"
REPORT_PAGE = "pages/report.py"
EVALUATE_PAGE = "pages/evaluate.py"
COHORT_PAGE = "pages/cohort.py"
TRAIN_PAGE = "pages/train.py"
AUGMENTATION_PAGE = "pages/augmentation.py"
FOLLOW_UP_PAGE = "pages/follow_up.py"


def run_chosen_page() -> None:
    """Draws the navigation and runs the page that was chosen; before a login, that alone."""
    if not may_enter():
        st.navigation([st.Page(show_login, title="LungLens")], position="hidden").run()
        return
    this_session().navigated = True
    _navigation().run()


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
        [
            st.Page(HOME_PAGE, title="Home", default=True),
            st.Page(BROWSE_PAGE, title="Browse"),
            st.Page(QUALITY_PAGE, title="Quality"),
            st.Page(ENHANCE_PAGE, title="Enhance"),
            st.Page(REGION_PAGE, title="Region of interest"),
            st.Page(SEGMENT_PAGE, title="Segment"),
            st.Page(CLASSIFY_PAGE, title="Classify"),
            st.Page(FOLLOW_UP_PAGE, title="Follow-up"),
            st.Page(REPORT_PAGE, title="Report"),
            st.Page(EVALUATE_PAGE, title="Evaluate"),
            st.Page(COHORT_PAGE, title="Cohort"),
            st.Page(AUGMENTATION_PAGE, title="Augmentation"),
            st.Page(TRAIN_PAGE, title="Train"),
        ],
        # Else a list of more than twelve hides its end.
        expanded=True,
    )
