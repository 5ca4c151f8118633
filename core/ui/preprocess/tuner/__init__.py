"""One slice and its settings go to the browser, which computes contrast while the hand moves; the
settings come back on release."""

from core.ui.preprocess.tuner.component import Answer, Reported, TunedSlice, show_tuner

__all__ = ["Answer", "Reported", "TunedSlice", "show_tuner"]
