"""Streamlit with a demo study of an eighth of the voxels: `python -m tests.small_demo run SCRIPT`.

Browsers check what a person does; the size of the scan only makes them wait for it.
"""

from __future__ import annotations

from functools import partial

import core.phantom

SHAPE = (256, 256, 48)
"""Voxels of the demo study on the tests' server; 48 slices of 6 mm."""


def main() -> None:
    """Runs Streamlit's command line in this process."""
    from streamlit.web import cli

    core.phantom.build_demo_study = partial(core.phantom.build_demo_study, shape=SHAPE)
    core.phantom.build_demo_follow_up = partial(core.phantom.build_demo_follow_up, shape=SHAPE)
    cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
