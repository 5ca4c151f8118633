"""Home: what this is, and opening a scan."""

import streamlit as st

from core.ui import segmenting
from core.ui.access import show_if_open_to_all
from core.ui.home import first_steps, opening, projects
from core.ui.navigation import BROWSE, go_to
from core.ui.page import (
    RESEARCH_USE,
    begin_page,
    show_notice,
)
from core.ui.scan import browsing, keeping, lying
from core.ui.scan.headline import show_headline
from core.ui.scan.mark_button import mark_and_browse
from core.ui.session import this_session

begin_page(
    "LungLens",
    lead="View a chest CT slice by slice and let a neural network segment the lungs and the "
    "infection of COVID-19. Every mask can be checked, measured and downloaded. Scans "
    "stay on the machine that runs this app.",
)
st.caption(RESEARCH_USE)
show_if_open_to_all()
show_notice()

left, right = st.columns([6, 6], gap="large")
with left:
    st.subheader("Current scan", anchor=False)
    current = this_session().opened
    if current is None:
        st.info("No scan is open. Upload one, or open the demo study.")
        with st.container(horizontal=True):
            opening.show_demo_button(current)
            opening.show_tour_button(current)
    else:
        first_steps.show_if_demo(current)
        with st.container(horizontal=True):
            mark_and_browse(current)
            marked = current.segmentation is not None
            if st.button(
                "Browse slices",
                type="primary" if marked else "secondary",
                icon=":material/view_carousel:",
            ):
                go_to(BROWSE)
            opening.show_tour_button(current)
        first_steps.show_what_marking_gives(current)
        show_headline(current, key="home")
        browsing.show_glance(current, key="glance", tallest=0.42)
        keeping.show_keeping(current)
        segmenting.show_progress()
        opening.show_recognised(current)
        lying.show_question(current)
        if current.origin != "demo":
            opening.show_demo_button(current)

with right:
    st.subheader("Open a scan", anchor=False)
    opening.show_upload()
    opening.show_series_choice()
    opening.show_scale_question()
    if current is not None:
        opening.show_labels_question(current)
        opening.show_masks_upload(current)
    st.subheader("From this server", anchor=False)
    opening.show_data_folder()
    projects.show_projects()
