"""Labelled scans come in; a trained network, its record and its published weights go out."""
