"""Links to files in a page's address, without the names of the files."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

KEPT_LINK = "project-"
"""Begins the link of a scan that is kept on this machine."""
FILE_LINK = "file-"
"""How links to files begin."""


class FileLinks:
    """Short links to files of the data folder, good as long as the server runs.

    Names of files and folders may be those of patients. They stay out of addresses, which
    browsers keep and people send on: a link is drawn at random and says nothing.
    """

    def __init__(self, *, most: int = 1000) -> None:
        self._most = most
        self._paths: dict[str, Path] = {}
        self._changing = threading.Lock()

    def link_to(self, path: Path) -> str:
        """The link of a path, the same each time; beyond `most` the oldest is forgotten."""
        with self._changing:
            known = next((link for link, kept in self._paths.items() if kept == path), None)
            if known is not None:
                return known
            while len(self._paths) >= self._most:
                del self._paths[next(iter(self._paths))]
            link = f"{FILE_LINK}{secrets.token_hex(6)}"
            self._paths[link] = path
            return link

    def path_of(self, link: str) -> Path | None:
        """What a link leads to; none where this server never gave it out."""
        return self._paths.get(link)
