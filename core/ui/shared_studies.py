"""Scans that several sessions may want: read once, read-only, and the last few of them kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from core.volume import Study


class SharedStudies:
    """The studies used last, by what they depend on.

    Not a cache of Streamlit's: its functions may not show their progress on the page.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Study] = OrderedDict()

    def get(self, key: Hashable, load: Callable[[], Study]) -> Study:
        """The study of this key, loaded where it is not kept; an error of `load` keeps nothing."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept
        study = load()
        with self._lock:
            self._kept[key] = study
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return study
