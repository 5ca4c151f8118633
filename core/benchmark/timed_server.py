"""Streamlit's server with a clock around each run of a page; the process that `app` starts.

`python -m core.benchmark.timed_server LOG ARGUMENT…` takes the arguments of the command `streamlit`
and appends a line of JSON to LOG for each run: seconds, and whether a fragment alone ran.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.web import cli


def _clock_runs(log: Path) -> None:
    """Wraps what runs a page. It is no documented interface; where an upgrade moves it, this fails
    at once."""
    run_script = ScriptRunner._run_script

    def clocked(self: ScriptRunner, rerun_data: Any) -> None:
        begun = time.perf_counter()
        try:
            run_script(self, rerun_data)
        finally:
            fragment = bool(rerun_data.fragment_id_queue)
            line = json.dumps({"seconds": time.perf_counter() - begun, "fragment": fragment})
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    ScriptRunner._run_script = clocked  # type: ignore[method-assign]


if __name__ == "__main__":
    _clock_runs(Path(sys.argv[1]))
    sys.argv = ["streamlit", *sys.argv[2:]]
    cli.main()
