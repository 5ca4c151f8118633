"""LungLens: reading, segmenting and measuring chest CT. Research software, never a diagnosis."""

__version__ = "0.3.0"
