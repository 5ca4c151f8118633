"""LungLens in the browser: `streamlit run streamlit_app.py`.

Streamlit's server imports this file once, for the routes of the app, and then runs it as a
script for every page.
"""

import streamlit as st

from core.ui.viewer import lobe_routes, slice_routes

if __name__ == "__main__":
    from core.ui.libraries import wait_until_loaded

    wait_until_loaded()

    from core.ui.navigation import run_chosen_page
    from core.ui.segmenting import warm_up

    run_chosen_page()
    warm_up()
else:
    from core.ui.libraries import start_loading

    start_loading()
    base = st.get_option("server.baseUrlPath")
    app = st.App(__file__, routes=[*slice_routes(base), *lobe_routes(base)])
