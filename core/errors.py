"""The one family of errors that pages and the command line catch and show.

Anything else that is raised is a bug and is not caught.
"""

from __future__ import annotations

import re
import unicodedata

_MAX_NAME_LENGTH = 60


def shown_name(name: object) -> str:
    """A file name that is safe to print: base name only, one line, at most 60 characters.

    Control characters (newlines, escapes) and direction overrides are dropped and markup
    characters replaced, so that a hostile name can neither forge a message nor become HTML.
    """
    base = re.split(r"[\\/]", str(name).rstrip("\\/"))[-1]
    kept = "".join(c if c not in "<>&`" else "_" for c in base if _printable(c))
    kept = kept.strip() or "unnamed"
    if len(kept) > _MAX_NAME_LENGTH:
        kept = f"{kept[: _MAX_NAME_LENGTH - 16]}…{kept[-15:]}"
    return kept


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def escaped(text: str) -> str:
    """Text on one line: line breaks and other characters that cannot be seen are written out.

    Whatever a file holds, it cannot forge a second message or reorder the first.
    """
    if text.isprintable():
        return text
    return "".join(
        c if _printable(c) else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in text
    )


_SHORTEST_PART = 40


def _shortened(part: str | None, excess: int) -> str | None:
    """The part without about `excess` characters at its end, but enough to recognise it."""
    if part is None or len(part) <= _SHORTEST_PART:
        return part
    return part[: max(_SHORTEST_PART, len(part) - excess) - 1] + "…"


class LungLensError(Exception):
    """A failure the person can act on, in one sentence.

    Parts: `what` went wrong, what was `got`, what was `expected`, and the `next_step`. They come
    out on one line of at most `most_characters`; what was got is shortened first.
    """

    most_characters = 400

    def __init__(
        self,
        what: str,
        *,
        got: str | None = None,
        expected: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.what = escaped(what)
        self.got = got and escaped(got)
        self.expected = expected and escaped(expected)
        self.next_step = next_step and escaped(next_step)
        for part in ("got", "expected", "next_step", "what"):
            excess = len(self._sentence()) - self.most_characters
            if excess > 0:
                setattr(self, part, _shortened(getattr(self, part), excess))
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        facts = []
        if self.got:
            facts.append(f"got {self.got}")
        if self.expected:
            facts.append(f"expected {self.expected}")
        sentence = self.what + (": " + ", ".join(facts) if facts else "")
        if self.next_step:
            sentence += f"; {self.next_step}"
        return sentence + "."


class LoadError(LungLensError):
    """A file, folder or archive cannot be read as a chest CT or a mask."""


class GeometryError(LungLensError):
    """Shapes, affines or spacings do not fit together."""


class ConfigError(LungLensError):
    """A setting is outside what the code can do."""

    most_characters = 300


class WeightsError(LungLensError):
    """A weights file or its manifest is missing, damaged or does not fit the model."""

    most_characters = 300


class DownloadError(LungLensError):
    """The public data set could not be fetched."""


class DatasetError(LungLensError):
    """A training or evaluation folder lacks what is needed."""

    most_characters = 300


class SaveError(LungLensError):
    """A result cannot be written where the person wants it."""


class CorrectionError(LungLensError):
    """A mask cannot be changed the way that was asked for; it stays as it was."""

    most_characters = 300


class StaleCorrectionError(CorrectionError):
    """The mask is not the one that a change was made for."""


class ProjectError(LungLensError):
    """A project cannot be read, changed or deleted."""


class AnnotationError(LungLensError):
    """Notes or marks on a scan cannot be read."""


class Cancelled(LungLensError):
    """The person asked to stop; nothing was changed."""

    def __init__(self, stage: str) -> None:
        super().__init__(f"Stopped on request while {stage}")
