"""Measurements come in; Plotly figures in one style go out. The only room with Plotly."""
