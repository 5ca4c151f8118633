"""Stored pixels of one DICOM file; also a program of its own that decodes compressed ones.

Native decoders abort their process on some broken streams, so that compressed files are decoded
by `python -P decode.py`, which `workers` starts and limits. The program reads one JSON line per
request and answers with one JSON line, followed by the pixels. It imports nothing of this
package, so that it starts fast.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

try:
    import resource
except ImportError:  # Windows has no limits of this kind
    resource = None  # type: ignore[assignment]

NO_PIXELS = "no pixels"
TOO_LONG = "too long"
TOO_SHORT = "too short"
_SPARE_PIXELS = 1.1
"""Stored pixels may be padded, but hardly by more than a tenth."""
_SPARE_BYTES = 4096
_CODESTREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")
"""Of a JPEG and of a JPEG 2000 picture; further fragments of one begin otherwise."""
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG, and of JPEG-LS."""
_RLE_PADDING = re.compile(r"(\d+) vs\. (\d+) bytes expected")
"""How pydicom warns of pixels beyond the expected ones."""
_HEADER_BYTES = 16 * 1024**2
_BASE_BYTES = 3 * 1024**3
"""Address space of the program and its libraries; only a small part of it is memory."""


class DecodeError(Exception):
    """A file without usable pixels; its text is `NO_PIXELS`, `TOO_LONG`, `TOO_SHORT` or the
    syntax."""


def decode(path: Path) -> npt.NDArray[Any]:
    """(rows, columns) or (frames, rows, columns) stored values.

    Raises:
        DecodeError: the file is damaged, has no pixels, or more or fewer than its header says.
    """
    syntax = "unknown"
    try:
        dataset = _read(path)
        if "PixelData" not in dataset:
            raise DecodeError(NO_PIXELS)
        meta = getattr(dataset, "file_meta", None)
        if meta is None or "TransferSyntaxUID" not in meta:
            dataset.file_meta = meta or pydicom.dataset.FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        syntax = dataset.file_meta.TransferSyntaxUID.name
        _complete(dataset)
        if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            pixels = _decompressed(dataset)
        else:
            _check_length(dataset)
            pixels = dataset.pixel_array
    except DecodeError:
        raise
    except Exception as error:  # decoders raise whatever a broken stream makes them
        raise DecodeError(syntax) from error
    return pixels


def _complete(dataset: Dataset) -> None:
    """Adds what decoders ask for and exporters leave out, where only one value is likely."""
    usual = {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16}
    usual |= {"PixelRepresentation": 0}
    for tag, value in usual.items():
        if dataset.get(tag) in (None, ""):
            setattr(dataset, tag, value)
    if int(dataset.SamplesPerPixel) > 1 and dataset.get("PlanarConfiguration") in (None, ""):
        dataset.PlanarConfiguration = 0
    if dataset.get("BitsStored") in (None, ""):
        dataset.BitsStored = dataset.BitsAllocated


def _decompressed(dataset: Dataset) -> npt.NDArray[Any]:
    """Pixels of a compressed file; only in a process of its own, see the module's text."""
    frames = int(dataset.get("NumberOfFrames") or 1)
    is_rle = dataset.file_meta.TransferSyntaxUID == RLELossless
    starts = 0
    for fragment in generate_fragments(_without_offsets(dataset.PixelData)):
        starts += is_rle or fragment.startswith(_CODESTREAM_STARTS)
        size = _jpeg_size(fragment)
        if size is not None and size != (dataset.Rows, dataset.Columns):
            raise DecodeError(TOO_LONG)
    if starts > frames:
        raise DecodeError(TOO_LONG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pixels: npt.NDArray[Any] = dataset.pixel_array
    for found in map(_RLE_PADDING.search, (str(warning.message) for warning in caught)):
        if found and int(found[1]) > _SPARE_PIXELS * int(found[2]):
            raise DecodeError(TOO_LONG)
    return pixels


def _jpeg_size(stream: bytes) -> tuple[int, int] | None:
    """Rows and columns by the frame header of a JPEG or JPEG-LS picture; none where it has none."""
    at = 2
    while stream.startswith(b"\xff\xd8") and at + 9 <= len(stream) and stream[at] == 0xFF:
        if stream[at + 1] in _FRAME_HEADERS:
            rows, columns = stream[at + 5 : at + 7], stream[at + 7 : at + 9]
            if rows == b"\0\0":  # it follows the first scan
                return None
            return int.from_bytes(rows, "big"), int.from_bytes(columns, "big")
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None


def _without_offsets(data: bytes) -> bytes:
    """Encapsulated pixels behind their table of offsets, which is an item of its own."""
    return data[8 + int.from_bytes(data[4:8], "little") :]


def _check_length(dataset: Dataset) -> None:
    """Where half of the pixels would be ignored, the header is wrong; where some lack, the file
    is cut."""
    values = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1)
    values *= int(dataset.get("NumberOfFrames") or 1)
    expected = values * int(dataset.BitsAllocated) // 8
    if len(dataset.PixelData) > _SPARE_PIXELS * expected + min(_SPARE_BYTES, expected // 10):
        raise DecodeError(TOO_LONG)
    if len(dataset.PixelData) < expected:
        raise DecodeError(TOO_SHORT)


def _read(path: Path) -> Dataset:
    if _is_deflated(path):
        dataset = inflated(path, None)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        return dataset
    return pydicom.dcmread(path, force=True)


def _is_deflated(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(132)
    if start[128:] != b"DICM":
        return False
    meta = pydicom.filereader.read_file_meta_info(path)
    return bool(meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian)


def inflated(path: Path, tags: list[str] | None) -> Dataset:
    """The data set of a deflated file: its `tags` from a bounded part, or all of it.

    Raises:
        Exception: whatever a broken file makes the parser and zlib raise.
    """
    with path.open("rb") as file:
        file.seek(132)
        meta = pydicom.filereader.read_file_meta_info(path)
        file.seek(132 + 12 + int(meta.FileMetaInformationGroupLength))
        packed = file.read()
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflater.decompress(packed, _HEADER_BYTES)
    if tags is None and not inflater.eof:
        size = _pixel_bytes(_parsed(data, None, pixels=False))
        data += inflater.decompress(inflater.unconsumed_tail, size + _HEADER_BYTES)
        if not inflater.eof:
            raise ValueError("the data set is longer than its header says, or is cut")
    dataset = _parsed(data, tags, pixels=tags is None)
    dataset.file_meta = meta
    return dataset


def _pixel_bytes(header: Dataset) -> int:
    size = int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames") or 1)
    return size * int(header.get("BitsAllocated") or 16) // 8


def _parsed(data: bytes, tags: list[str] | None, *, pixels: bool) -> Dataset:
    found = pydicom.filereader.read_dataset(
        io.BytesIO(data),
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=None if pixels else _is_pixel_data,
        specific_tags=None if tags is None else list(map(pydicom.tag.Tag, tags)),
    )
    dataset = pydicom.dataset.FileDataset(
        io.BytesIO(), found, is_implicit_VR=False, is_little_endian=True
    )
    # pydicom asks for the encoding of what it has not read from a file itself.
    dataset.set_original_encoding(False, True, "iso8859")
    return dataset


def _is_pixel_data(tag: Any, _vr: str | None, _length: int) -> bool:
    return int(tag) >= 0x7FE00008


def _limit(pixel_bytes: int, seconds: int) -> None:
    """Memory and processor time for the next file."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    processor = int(used.ru_utime + used.ru_stime) + seconds
    _lower(resource.RLIMIT_AS, _BASE_BYTES + 6 * pixel_bytes)
    _lower(resource.RLIMIT_CPU, processor)


def _lower(kind: int, value: int) -> None:
    _soft, hard = resource.getrlimit(kind)
    soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (soft, hard))


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], memoryview]:
    try:
        _limit(int(request["pixel_bytes"]), int(request["seconds"]))
        pixels = np.ascontiguousarray(decode(Path(os.fsdecode(bytes.fromhex(request["path"])))))
    except DecodeError as error:
        return {"error": str(error)}, memoryview(b"")
    except MemoryError:
        return {"error": "unknown"}, memoryview(b"")
    data = pixels.reshape(-1).view(np.uint8).data
    return {"shape": pixels.shape, "type": pixels.dtype.str, "bytes": len(data)}, data


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers until the other end closes."""
    for line in requests:
        header, data = _answer(json.loads(line))
        answers.write(json.dumps(header).encode() + b"\n")
        answers.write(data)
        answers.flush()


def _main() -> None:
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main()
