"""The command line: `python -m core info|segment|train|evaluate|benchmark`.

Exit codes: 0 done, 1 something the person can mend (told in one sentence), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from core import __version__
from core.cli import benchmark, evaluate, info, segment, train
from core.cli.terminal import TerminalProgress
from core.errors import LungLensError

_COMMANDS = {
    "info": info,
    "segment": segment,
    "train": train,
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
    options = build_parser().parse_args(arguments)
    with TerminalProgress(enabled=not options.quiet) as progress:
        try:
            result = _COMMANDS[options.command].run(options, progress)
        except LungLensError as error:
            progress.clear()
            if options.json:
                print(json.dumps({"error": str(error)}, ensure_ascii=False))
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            progress.clear()
            print("error: stopped by the keyboard.", file=sys.stderr)
            return 1
    if options.json:
        print(json.dumps(result.figures, indent=1, ensure_ascii=False))
    else:
        print(result.text)
    return 1 if result.failed else 0
