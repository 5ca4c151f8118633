"""Streamlit with the demo study of the tests: `python -m tests.small_demo run SCRIPT`.

Browsers check what a person does; the size of the scan only makes them wait for it.
"""

from __future__ import annotations

import os
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import core.phantom

FILE_VARIABLE = "LUNGLENS_TESTS_DEMO"
"""Names the file of `tests.studies.demo_file`."""


def main() -> None:
    """Runs Streamlit's command line in this process."""
    from streamlit.web import cli

    from tests.studies import DEMO_SHAPE

    core.phantom.kept_demo_study = _read_demo
    core.phantom.build_demo_follow_up = partial(core.phantom.build_demo_follow_up, shape=DEMO_SHAPE)
    cli.main(prog_name="streamlit")


def _read_demo(**_: Any) -> Any:
    return pickle.loads(Path(os.environ[FILE_VARIABLE]).read_bytes())  # noqa: S301


if __name__ == "__main__":
    main()
