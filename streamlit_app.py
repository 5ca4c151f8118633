"""LungLens in the browser: `streamlit run streamlit_app.py`."""

from core.ui.navigation import run_chosen_page
from core.ui.segmenting import warm_up

run_chosen_page()
warm_up()
