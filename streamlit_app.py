"""LungLens in the browser: `streamlit run streamlit_app.py`."""

import streamlit as st

from core.ui import segmenting

page = st.navigation(
    [
        st.Page("pages/home.py", title="Home", icon=":material/home:", default=True),
        st.Page("pages/browse.py", title="Browse", icon=":material/view_carousel:"),
        st.Page("pages/segment.py", title="Segment", icon=":material/ink_highlighter:"),
    ]
)
page.run()
segmenting.warm_up()
