"""LungLens in the browser: `streamlit run streamlit_app.py`."""

import streamlit as st

from core.ui import segmenting

# Without icons: the browser would fetch them, as the tab's icon, from a server of others.
page = st.navigation(
    [
        st.Page("pages/home.py", title="Home", default=True),
        st.Page("pages/browse.py", title="Browse"),
        st.Page("pages/segment.py", title="Segment"),
    ]
)
page.run()
segmenting.warm_up()
