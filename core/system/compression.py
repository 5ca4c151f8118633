"""gzip by ISA-L where it is installed, which unpacks four times faster than Python's own zlib."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

_module: Any = gzip
_errors: tuple[Any, ...] = (EOFError, zlib.error, gzip.BadGzipFile)
try:
    from isal import igzip, isal_zlib
except ImportError:  # no wheel for this platform
    pass
else:
    _module = igzip
    _errors = (*_errors, isal_zlib.error)

DAMAGED_GZIP = _errors
"""What reading a broken gzip stream raises."""
FASTEST = 1
"""The fastest level; masks shrink a hundredfold even so."""


def open_gzip(path: Path) -> BinaryIO:
    """A gzipped file for reading; a `gzip.GzipFile` whichever library unpacks."""
    return cast(BinaryIO, _module.open(path, "rb"))


def write_gzip(packed: IO[bytes], *parts: bytes | memoryview) -> None:
    """Writes one gzip stream, at the fastest level and with no time in it, so that the same parts
    always give the same bytes."""
    name = "IGzipFile" if _module is not gzip else "GzipFile"
    stream: io.BufferedIOBase = getattr(_module, name)(
        filename="", fileobj=packed, mode="wb", compresslevel=FASTEST, mtime=0
    )
    with stream:
        for part in parts:
            stream.write(part)
