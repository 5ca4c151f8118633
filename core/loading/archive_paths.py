"""Where the entries of an archive may be written, under which names."""

from __future__ import annotations

from pathlib import PurePosixPath

from core.errors import LoadError, shown_name
from core.loading.names import safe_name

_MAX_DEPTH = 12


def is_hidden(parts: tuple[str, ...]) -> bool:
    """Whether an entry is hidden, or what macOS adds."""
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def refuse_unsafe_path(raw: str, name: str) -> None:
    """Raises `LoadError` for an entry that leads out of the folder or nests too deep."""
    parts = raw.split("/")
    if raw.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in raw:
        raise LoadError(
            f"{name} holds paths that lead outside of it",
            got=f"entry {shown_name(raw)} with an unsafe path",
            expected="plain relative names",
            next_step="zip the scan again",
        )
    if len(parts) > _MAX_DEPTH:
        raise LoadError(
            f"{name} holds too many nested folders",
            got=f"{len(parts)} levels",
            expected=f"at most {_MAX_DEPTH}",
            next_step="zip the folder of the scan itself",
        )


class SafeTree:
    """Safe names for the paths of an archive; the same folder always gets the same name."""

    def __init__(self) -> None:
        self._folders: dict[tuple[str, ...], tuple[str, ...]] = {(): ()}
        self._taken: dict[tuple[str, ...], set[str]] = {}

    def file(self, filename: str) -> tuple[str, ...]:
        """Path parts to write a file to, never given before."""
        parts = PurePosixPath(filename.replace("\\", "/")).parts
        for depth in range(1, len(parts)):
            folder = parts[:depth]
            if folder not in self._folders:
                self._folders[folder] = self._new(self._folders[folder[:-1]], folder[-1])
        return self._new(self._folders[parts[:-1]], parts[-1])

    def _new(self, parent: tuple[str, ...], name: str) -> tuple[str, ...]:
        taken = self._taken.setdefault(parent, set())
        safe = safe_name(name, taken)
        taken.add(safe.lower())
        return (*parent, safe)
