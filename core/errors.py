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


class LungLensError(Exception):
    """A failure the person can act on, told in one sentence.

    Parts: `what` went wrong, what was `got`, what was `expected`, and the `next_step`.
    """

    def __init__(
        self,
        what: str,
        *,
        got: str | None = None,
        expected: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.what = what
        self.got = got
        self.expected = expected
        self.next_step = next_step
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


class WeightsError(LungLensError):
    """A weights file or its manifest is missing, damaged or does not fit the model."""


class DownloadError(LungLensError):
    """The public data set could not be fetched."""


class DatasetError(LungLensError):
    """A training or evaluation folder lacks what is needed."""


class SaveError(LungLensError):
    """A result cannot be written where the person wants it."""


class Cancelled(LungLensError):
    """The person asked to stop; nothing was changed."""

    def __init__(self, stage: str) -> None:
        super().__init__(f"Stopped on request while {stage}")
