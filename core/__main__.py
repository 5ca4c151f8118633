"""`python -m core`: the command line."""

import sys

from core.cli import main
from core.cli.quiet import hide_library_warnings

if __name__ == "__main__":
    hide_library_warnings()
    sys.exit(main())
