"""Results of earlier runs, kept on the disk by fingerprint of scan, weights and settings.

A result is one gzipped file: uint32 (little-endian) length of a JSON header, the header,
probabilities and presence as they are, and one bit a voxel of each mask. It is named by the
fingerprint of the scan and by a hash of weights, settings and version of the program. The files
used longest ago go once all of them take more room than they may.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core import __version__
from core.config import CHANNELS, SegmentConfig, from_json_dict, to_json_dict
from core.errors import LungLensError
from core.preprocessing import SpatialRecord
from core.preprocessing.roi import BoundingBox
from core.preprocessing.slice_normalization import SliceStretch
from core.segmentation.result import ScanFacts, Segmentation
from core.segmentation.weights import WeightsInfo
from core.system import DAMAGED_GZIP, open_gzip, write_bytes, write_gzip
from core.volume import BoolArray, MaskPair, Volume

_ENDING = ".result.gz"
_MOST_HEADER_BYTES = 1 << 20
_LENGTH_BYTES = 4


class _Damaged(Exception):
    """A file of a result that cannot be used."""


@dataclass(frozen=True)
class ResultStore:
    """The results in one folder.

    Attributes:
        folder: that holds them; it need not be there yet.
        most_bytes: room that they may take together.
    """

    folder: Path
    most_bytes: int

    @property
    def empty(self) -> bool:
        """Whether nothing is remembered, so that no fingerprint matters."""
        return next(self._files(), None) is None

    def remember(self, volume: Volume, segmentation: Segmentation, info: WeightsInfo) -> None:
        """Keeps the result of a run, and lets the ones used longest ago go.

        Raises:
            SaveError: it cannot be written.
        """
        path = self._path(volume, info, segmentation.config)
        write_bytes(path, _packed(segmentation, info))
        self._make_room(keep=path)

    def recall(
        self, volume: Volume, weights: Sequence[WeightsInfo], config: SegmentConfig | None = None
    ) -> Segmentation | None:
        """The result used last for a scan; none where there is none.

        Args:
            weights: only results of these count, and only while their files are the same.
            config: only a result of these settings counts; none for any.
        """
        shas = {info.weights_id: info.sha256 for info in weights}
        if config is None:
            found = sorted(self._files(volume.digest), key=_used, reverse=True)
        else:
            found = [self._path(volume, info, config) for info in weights]
        for path in found:
            try:
                header, result = _unpacked(path, volume)
            except _Damaged:
                path.unlink(missing_ok=True)
                continue
            except FileNotFoundError:
                continue
            if shas.get(result.weights_id) == header["weights_sha256"]:
                with suppress(OSError):
                    os.utime(path)
                return result
        return None

    def _path(self, volume: Volume, info: WeightsInfo, config: SegmentConfig) -> Path:
        settings = json.dumps(to_json_dict(config), sort_keys=True)
        identity = f"{__version__} {info.weights_id} {info.sha256} {settings}"
        key = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
        return self.folder / f"{volume.digest}-{key}{_ENDING}"

    def _files(self, digest: str = "") -> Iterator[Path]:
        return self.folder.glob(f"{digest}*{_ENDING}") if self.folder.is_dir() else iter(())

    def _make_room(self, *, keep: Path) -> None:
        # Another session may delete the same files.
        sizes = {}
        for path in self._files():
            with suppress(OSError):
                sizes[path] = path.stat().st_size
        taken = sum(sizes.values())
        for path in sorted(sizes, key=_used):
            if taken <= self.most_bytes:
                return
            if path != keep:
                path.unlink(missing_ok=True)
                taken -= sizes[path]


def _used(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _packed(segmentation: Segmentation, info: WeightsInfo) -> bytes:
    known = [getattr(segmentation.masks, channel) for channel in CHANNELS]
    presence = segmentation.presence
    header = {
        "program": __version__,
        "weights_sha256": info.sha256,
        "weights_id": segmentation.weights_id,
        "device": segmentation.device,
        "fallback_reason": segmentation.fallback_reason,
        "seconds": segmentation.seconds,
        "config": to_json_dict(segmentation.config),
        "record": asdict(segmentation.record),
        "scan": None if segmentation.scan is None else asdict(segmentation.scan),
        "probabilities": segmentation.probabilities.shape,
        "presence": None if presence is None else presence.shape,
        "masks": [mask is not None for mask in known],
    }
    text = json.dumps(header).encode()
    parts = [len(text).to_bytes(_LENGTH_BYTES, "little"), text]
    parts.append(np.ascontiguousarray(segmentation.probabilities).tobytes())
    if presence is not None:
        parts.append(np.ascontiguousarray(presence).tobytes())
    parts += [
        np.packbits(mask.reshape(-1, order="F")).tobytes() for mask in known if mask is not None
    ]
    packed = io.BytesIO()
    write_gzip(packed, *parts)
    return packed.getvalue()


def _unpacked(path: Path, volume: Volume) -> tuple[dict[str, Any], Segmentation]:
    try:
        with open_gzip(path) as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if length > _MOST_HEADER_BYTES:
                raise _Damaged
            header = json.loads(file.read(length))
            shape = tuple(map(int, header["probabilities"]))
            _check_room(shape, volume)
            probabilities = _read(file.read(int(np.prod(shape)))).reshape(shape)
            presence = None
            if header["presence"] is not None:
                presence = _read(file.read(int(np.prod(header["presence"]))))
                presence = presence.reshape(header["presence"])
            masks = [
                _mask(file.read(-(-int(np.prod(volume.shape)) // 8)), volume) if known else None
                for known in header["masks"]
            ]
            if file.read(1):  # also compares the stream with its checksum
                raise _Damaged
        return header, _segmentation(header, probabilities, presence, masks)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, LungLensError, *DAMAGED_GZIP) as error:
        raise _Damaged from error


def _check_room(shape: tuple[int, ...], volume: Volume) -> None:
    if len(shape) != 4 or shape[0] != len(CHANNELS) or shape[1] != volume.shape[2]:
        raise _Damaged
    if max(shape[2:]) > 4096:
        raise _Damaged


def _read(content: bytes) -> Any:
    return np.frombuffer(content, dtype=np.uint8)


def _mask(content: bytes, volume: Volume) -> BoolArray:
    voxels = int(np.prod(volume.shape))
    if len(content) != -(-voxels // 8):
        raise _Damaged
    bits = np.unpackbits(_read(content), count=voxels)
    found: BoolArray = bits.view(np.bool_).reshape(volume.shape, order="F")
    return found


def _segmentation(
    header: dict[str, Any], probabilities: Any, presence: Any, masks: list[BoolArray | None]
) -> Segmentation:
    lung, infection = masks
    scan = header["scan"]
    return Segmentation(
        masks=MaskPair(lung, infection),
        probabilities=probabilities,
        presence=presence,
        record=_record(header["record"]),
        seconds={str(name): float(spent) for name, spent in header["seconds"].items()},
        device=str(header["device"]),
        weights_id=str(header["weights_id"]),
        config=from_json_dict(SegmentConfig, header["config"]),
        fallback_reason=str(header["fallback_reason"]),
        scan=None if scan is None else _facts(scan),
    )


def _facts(found: dict[str, Any]) -> ScanFacts:
    spacing_mm = found["spacing_mm"]
    if spacing_mm is not None:
        i, j, k = map(float, spacing_mm)
        spacing_mm = (i, j, k)
    return ScanFacts(**{**found, "spacing_mm": spacing_mm})


def _record(found: dict[str, Any]) -> SpatialRecord:
    stretch = found["stretch"]
    rows, columns = found["slice_shape"]
    values = {
        **found,
        "slice_shape": (int(rows), int(columns)),
        "box": BoundingBox(**found["box"]),
        "stretch": None
        if stretch is None
        else SliceStretch(float(stretch["black"]), tuple(map(float, stretch["factors"]))),
    }
    return SpatialRecord(**values)
