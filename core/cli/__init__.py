"""The command line: `python -m core COMMAND`, where a command is a module of this package.

Exit codes: 0 done, 1 an error that the person can correct (one sentence), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from core import __version__
from core.cli.quiet import hide_start_up_notes
from core.cli.terminal import Result, TerminalProgress, encodable
from core.errors import LungLensError
from core.system import json_text

_COMMANDS = (
    "info",
    "quality",
    "segment",
    "lobes",
    "classify",
    "batch",
    "report",
    "train",
    "train-classifier",
    "train-mixture",
    "train-lobes",
    "train-orientation",
    "evaluate",
    "to-correct",
    "benchmark",
)
_ELSEWHERE = {"benchmark": "core.benchmark.command"}
"""A tool for developers, which stands apart: it starts the app as well."""


def build_parser(commands: Sequence[str] = _COMMANDS) -> argparse.ArgumentParser:
    """The parser of commands; each module of this package adds its own."""
    parser = argparse.ArgumentParser(
        prog="python -m core",
        description="LungLens: chest CT from the command line. Research software, never a "
        "diagnosis.",
    )
    parser.add_argument("--version", action="version", version=f"lunglens {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in commands:
        module = _module(name)
        summary = (module.__doc__ or "").splitlines()[0]
        sub = subparsers.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.add_argument("--json", action="store_true", help="print the result as JSON")
        sub.add_argument("--quiet", action="store_true", help="no progress on the terminal")
    return parser


def _module(command: str) -> Any:
    """The module of a command, imported when it is needed: all together cost a third of a
    second, and one is run."""
    return import_module(_ELSEWHERE.get(command, f"core.cli.{command.replace('-', '_')}"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    _open_missing_streams()
    # TensorFlow's start-up notes would drown the one line that matters.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    hide_start_up_notes()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows its code instead of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else arguments
    named = [name for name in given[:1] if name in _COMMANDS]
    options = build_parser(named or _COMMANDS).parse_args(given)
    result = _run(options)
    try:
        _show(result, as_json=options.json)
    except BrokenPipeError:  # whoever read has seen enough
        _drop_output()
    except OSError as error:
        _drop_output()
        print(f"error: The result cannot be printed: got {error.strerror}.", file=sys.stderr)
        return 1
    return 1 if result.failed else 0


def _open_missing_streams() -> None:
    """Where a standard stream is closed, what is written to it is dropped.

    Else the next file that is opened would take its place, and be written into.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _drop_output() -> None:
    """What is still to be written must not fail again when Python ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(options: argparse.Namespace) -> Result:
    """The command's result, or what stopped it, in one sentence."""
    with TerminalProgress(enabled=not options.quiet) as progress:
        try:
            result: Result = _module(options.command).run(options, progress)
            return result
        except LungLensError as error:
            sentence = str(error)
        except KeyboardInterrupt:
            sentence = "stopped with Ctrl-C."
        except MemoryError:
            sentence = "There is not enough memory for this; try a smaller scan or --batch-size."
    return Result("", {"error": sentence}, failed=True)


def _show(result: Result, *, as_json: bool) -> None:
    if "error" in result.values:
        error = encodable(f"error: {result.values['error']}", sys.stderr)
        print(error, file=sys.stderr)
    if as_json:
        encoding = (sys.stdout.encoding or "").lower()
        print(json_text(result.values, ascii_only=not encoding.startswith("utf")))
    elif result.text:
        print(encodable(result.text, sys.stdout))
    sys.stdout.flush()
