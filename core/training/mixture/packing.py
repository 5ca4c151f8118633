"""All scans in one small file, to carry them to a machine that trains and has no data folder.

Slices are WebP, masks packed bits; what the eye can hardly see is lost, and no mask changes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.errors import DatasetError, SaveError, shown_name
from core.segmentation import UNREADABLE_NPZ
from core.training.mixture.sources import LabelledScan, Slices

QUALITY = 90
_FORMAT = 1


def pack_scans(scans: Sequence[LabelledScan], path: Path, *, quality: int = QUALITY) -> int:
    """Writes scans into one file.

    Args:
        quality: of WebP, 1 to 100; above 100 loses nothing.

    Returns:
        Its size in bytes.

    Raises:
        SaveError: it cannot be written.
    """
    entries: list[dict[str, Any]] = []
    pictures: list[npt.NDArray[np.uint8]] = []
    masks: list[npt.NDArray[np.uint8]] = []
    for scan in scans:
        lengths = []
        for image in scan.images:
            _, data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])
            pictures.append(np.asarray(data, dtype=np.uint8).ravel())
            lengths.append(len(pictures[-1]))
        known = {"lung": scan.lung, "infection": scan.infection}
        kept = {
            name: "none" if mask is None else "drawn" if mask.any() else "empty"
            for name, mask in known.items()
        }
        masks += [
            np.packbits(mask) for name, mask in known.items() if mask is not None and mask.any()
        ]
        entries.append(
            {
                "scan_id": scan.scan_id,
                "patient_id": scan.patient_id,
                "source": scan.source,
                "shape": list(scan.images.shape),
                "lengths": lengths,
                "masks": kept,
                "body_box": list(scan.body_box),
                "lung_box": list(scan.lung_box),
                "infection_unverified": scan.infection_unverified,
            }
        )
    table = json.dumps({"format": _FORMAT, "scans": entries}).encode()
    try:
        np.savez_compressed(
            path,
            table=np.frombuffer(table, dtype=np.uint8),
            pictures=_joined(pictures),
            masks=_joined(masks),
        )
        return path.stat().st_size
    except OSError as error:
        raise SaveError(
            f"The scans cannot be packed into {shown_name(path)}",
            got=error.strerror or "a write error",
            expected="a folder with room, and a name that ends in .npz",
        ) from error


def _joined(parts: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint8)


def unpack_scans(path: Path) -> tuple[LabelledScan, ...]:
    """The inverse of `pack_scans`.

    Raises:
        DatasetError: this is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            table = json.loads(stored["table"].tobytes())
            pictures, masks = stored["pictures"], stored["masks"]
        if table["format"] != _FORMAT:
            raise ValueError("another format")
        scans: list[LabelledScan] = []
        for entry in table["scans"]:
            scan, pictures, masks = _scan(entry, pictures, masks)
            scans.append(scan)
    except (*UNREADABLE_NPZ, cv2.error) as error:
        raise DatasetError(
            f"The packed scans {shown_name(path)} cannot be read",
            got=type(error).__name__,
            expected="a file that packing wrote",
            next_step="pack them again",
        ) from error
    return tuple(scans)


def _scan(
    entry: dict[str, Any], pictures: Slices, masks: Slices
) -> tuple[LabelledScan, Slices, Slices]:
    shape = tuple(int(n) for n in entry["shape"])
    images = []
    for length in entry["lengths"]:
        decoded = cv2.imdecode(pictures[:length], cv2.IMREAD_GRAYSCALE)
        images.append(np.asarray(decoded, dtype=np.uint8))
        pictures = pictures[length:]
    found: dict[str, Slices | None] = {}
    count = int(np.prod(shape))
    for name, kind in entry["masks"].items():
        found[name] = None
        if kind == "empty":
            found[name] = np.zeros(shape, dtype=np.uint8)
        elif kind == "drawn":
            size = (count + 7) // 8
            found[name] = np.unpackbits(masks[:size], count=count).reshape(shape)
            masks = masks[size:]
    scan = LabelledScan(
        scan_id=str(entry["scan_id"]),
        patient_id=str(entry["patient_id"]),
        source=entry["source"],
        images=np.stack(images).reshape(shape),
        lung=found["lung"],
        infection=found["infection"],
        body_box=tuple(entry["body_box"]),
        lung_box=tuple(entry["lung_box"]),
        infection_unverified=bool(entry["infection_unverified"]),
    )
    return scan, pictures, masks


def shrink_scans(scans: Sequence[LabelledScan], *, most_pixels: int) -> tuple[LabelledScan, ...]:
    """The same, with larger slices made smaller, to fit a bound on the file's size."""
    return tuple(_shrunk(scan, most_pixels) for scan in scans)


def _shrunk(scan: LabelledScan, most_pixels: int) -> LabelledScan:
    height, width = scan.images.shape[1:]
    scale = most_pixels / max(height, width)
    if scale >= 1.0:
        return scan
    size = (round(width * scale), round(height * scale))

    def smaller(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))

    def smaller_mask(mask: Slices | None) -> Slices | None:
        if mask is None:
            return None
        return np.stack([smaller(part * np.uint8(255)) > 127 for part in mask]).astype(np.uint8)

    return replace(
        scan,
        images=np.stack([smaller(image) for image in scan.images]),
        lung=smaller_mask(scan.lung),
        infection=smaller_mask(scan.infection),
        body_box=tuple(round(side * scale) for side in scan.body_box),
        lung_box=tuple(round(side * scale) for side in scan.lung_box),
    )
