"""The command line: `python -m core COMMAND`, where a command is a module of this package.

Exit codes: 0 done, 1 something the person can mend (told in one sentence), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence

from core import __version__
from core.cli import (
    batch,
    benchmark,
    classify,
    evaluate,
    info,
    quality,
    report,
    segment,
    train,
    train_classifier,
)
from core.cli.terminal import Result, TerminalProgress
from core.errors import LungLensError
from core.records import json_text

_COMMANDS = {
    "info": info,
    "quality": quality,
    "segment": segment,
    "classify": classify,
    "batch": batch,
    "report": report,
    "train": train,
    "train-classifier": train_classifier,
    "evaluate": evaluate,
    "benchmark": benchmark,
}


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each module of this package adds its own."""
    parser = argparse.ArgumentParser(
        prog="python -m core",
        description="LungLens: chest CT from the command line. Research software, never a "
        "diagnosis.",
    )
    parser.add_argument("--version", action="version", version=f"lunglens {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in _COMMANDS.items():
        summary = (module.__doc__ or "").splitlines()[0]
        sub = commands.add_parser(
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    # TensorFlow's start-up notes would drown the one line that matters.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows its code instead of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
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


def _drop_output() -> None:
    """What is still to be written must not fail again when Python ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(options: argparse.Namespace) -> Result:
    """The command's result, or what stopped it, told in one sentence."""
    with TerminalProgress(enabled=not options.quiet) as progress:
        try:
            result: Result = _COMMANDS[options.command].run(options, progress)
            return result
        except LungLensError as error:
            sentence = str(error)
        except KeyboardInterrupt:
            sentence = "stopped by the keyboard."
        except MemoryError:
            sentence = "There is not enough memory for this; try a smaller scan or --batch-size."
    return Result("", {"error": sentence}, failed=True)


def _show(result: Result, *, as_json: bool) -> None:
    if "error" in result.figures:
        print(f"error: {result.figures['error']}", file=sys.stderr)
    if as_json:
        encoding = (sys.stdout.encoding or "").lower()
        print(json_text(result.figures, ascii_only=not encoding.startswith("utf")))
    elif result.text:
        print(result.text)
    sys.stdout.flush()
