"""Warnings of libraries, and TensorFlow's start-up notes, kept off the terminal of a command.

While it is imported, TensorFlow's native code writes a dozen alarming lines to standard error,
before it reads any setting of its own. A command serves one person, so here the lines can be taken
out of what was written meanwhile; all else that was written is passed on. A server must not do
this: its standard error belongs to other sessions too.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

VERBOSE_VARIABLE = "LUNGLENS_VERBOSE"
"""Environment variable with which the notes are shown after all."""
_PACKAGE = "tensorflow"
_NOTE = re.compile(
    rb"(?:WARNING: All log messages before absl"
    rb"|[IWE]\d{4} \d\d:\d\d:[\d.]+ +\d+ \S+:\d+\] "
    rb"|To enable the following instructions:)[^\n]*\n"
)


def hide_start_up_notes() -> None:
    """From now on in this process, TensorFlow is imported without its notes."""
    known = any(isinstance(finder, _QuietImport) for finder in sys.meta_path)
    if not (known or _PACKAGE in sys.modules or os.environ.get(VERBOSE_VARIABLE)):
        sys.meta_path.insert(0, _QuietImport())


def hide_library_warnings() -> None:
    """From now on in this process, libraries warn nobody: what a person should know of a scan is
    said by the commands, in their own words."""
    if sys.warnoptions or os.environ.get(VERBOSE_VARIABLE):
        return
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())
    # It brings a handler of its own.
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)


class _QuietImport(MetaPathFinder):
    """Finds TensorFlow where the others find it, and lets its code run without notes."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The package's own spec; none for any other name."""
        if fullname != _PACKAGE:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        loader, run = spec.loader, spec.loader.exec_module

        def run_quietly(module: ModuleType) -> None:
            with _without_notes():
                run(module)

        loader.exec_module = run_quietly  # type: ignore[method-assign]
        return spec


@contextmanager
def _without_notes() -> Iterator[None]:
    """Holds back what is written to standard error, and passes on all but the notes; all of it if
    an error comes up."""
    try:
        terminal = os.dup(2)
    except OSError:  # no standard error at all, as in a windowed Python
        yield
        return
    failed = True
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
            failed = False
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            written = held.read()
            os.write(2, written if failed else _NOTE.sub(b"", written))
