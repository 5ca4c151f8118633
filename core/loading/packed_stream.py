"""A deflated stream inside a file, unpacked as it is read."""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO

_BLOCK_BYTES = 256 * 1024
_ZLIB_OR_GZIP = 47


class Inflating(io.RawIOBase):
    """Reads a zlib or gzip stream from where a file stands; never unpacks more than asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(_ZLIB_OR_GZIP)

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; fewer only at the end of the stream.

        Raises:
            zlib.error: the stream is damaged.
        """
        assert size >= 0
        parts: list[bytes] = []
        while size > 0 and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(_BLOCK_BYTES)
            if not packed:
                break
            part = self._inflate.decompress(packed, size)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Closes the file as well."""
        self._file.close()
        super().close()
