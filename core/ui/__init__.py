"""The app: session state, caches and widgets. Only this room and pages/ know Streamlit."""
