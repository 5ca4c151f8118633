"""Lobes for the browser: a coarse label map of the lungs' box, from which it draws fissures and
colours in any plane."""

from __future__ import annotations

import weakref
import zlib
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core.config import FIRST_LEFT_LOBE, LOBE_COLOURS, LOBE_LABELS, LOBES
from core.measuring.biomarkers import bounding_box
from core.measuring.lobes import LobeLabels, Lobes
from core.ui.access import may_fetch
from core.ui.viewer.serving import Offer, address_below, offers

_MOST_CELLS = 160
"""Along an axis: about 2 mm in a chest, and two megabytes at most."""
_GZIP_WINDOW = 31


@dataclass(frozen=True, eq=False)
class _Sent:
    """What the browser fetches.

    Attributes:
        lobes: that were sent, to tell others from them.
        first, step: voxel of the first cell and voxels from one cell to the next, i, j, k.
        cells: uint8 of the same axes.
    """

    lobes: Lobes
    version: int
    first: tuple[int, int, int]
    step: tuple[int, int, int]
    cells: npt.NDArray[np.uint8]


_versions = count(1)
_sent: weakref.WeakKeyDictionary[Offer, _Sent] = weakref.WeakKeyDictionary()


def lobes_header(offer: Offer, lobes: Lobes | None) -> dict[str, Any] | None:
    """What the browser must know to fetch and draw lobes; the reason alone where they were not
    estimated, and none without a lung."""
    if lobes is None or lobes.labels is None:
        _sent.pop(offer, None)
        return None if lobes is None else {"version": 0, "reason": lobes.reason}
    known = _sent.get(offer)
    if known is None or known.lobes is not lobes:
        known = _coarse(lobes, lobes.labels, next(_versions))
        _sent[offer] = known
    return {
        "version": known.version,
        "first": list(known.first),
        "step": list(known.step),
        "shape": list(known.cells.shape),
        "firstLeft": FIRST_LEFT_LOBE,
        "names": [LOBE_LABELS[name] for name in LOBES],
        "colours": [LOBE_COLOURS[name] for name in LOBES],
        "note": lobes.note,
    }


def _coarse(lobes: Lobes, labels: LobeLabels, version: int) -> _Sent:
    box = bounding_box(labels > 0)
    assert box is not None
    step = [max(1, -(-(part.stop - part.start) // _MOST_CELLS)) for part in box]
    first = [part.start + (size - 1) // 2 for part, size in zip(box, step, strict=True)]
    kept = tuple(slice(a, part.stop, s) for a, part, s in zip(first, box, step, strict=True))
    cells = labels[kept]
    return _Sent(
        lobes,
        version,
        (first[0], first[1], first[2]),
        (step[0], step[1], step[2]),
        np.ascontiguousarray(cells),
    )


def _fetch(request: Request) -> Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    offer = offers.find(request.path_params["token"]) if may_fetch(request.cookies) else None
    sent = None if offer is None else _sent.get(offer)
    if sent is None or request.path_params["version"] != str(sent.version):
        return PlainTextResponse("There are no such lobes.", status_code=404, headers=headers)
    # Order of the picture: slices, then rows, then columns.
    packed = zlib.compressobj(6, zlib.DEFLATED, _GZIP_WINDOW)
    body = packed.compress(np.ascontiguousarray(sent.cells.T).tobytes()) + packed.flush()
    return Response(
        body,
        media_type="application/octet-stream",
        headers={**headers, "Content-Encoding": "gzip"},
    )


def lobe_routes(base: str = "") -> list[Route]:
    """The route to mount beside those of slices; `base` is the server's `server.baseUrlPath`."""
    return [Route(address_below(base) + "/{token}/lobes/{version}", _fetch)]
