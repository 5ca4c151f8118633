"""Slices over HTTP, beside Streamlit's own connection, for as long as a scan is open.

Streamlit sends what a page shows again whenever it changes. Slices go another way: the page
names an offer, and the browser fetches its chunks once. An offer lives exactly as long as its
owner, the open study of a session. Nothing here keeps a scan alive, and no copy is stored.

Where masks may be corrected, the browser sends each stroke the same way, with the same token.
"""

from __future__ import annotations

import secrets
import threading
import weakref
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core.correction import Correction
from core.errors import CorrectionError, StaleCorrectionError
from core.ui.access import may_fetch
from core.ui.viewer.editing import MOST_BODY_BYTES, UnreadableEdit, apply_edit
from core.ui.viewer.packing import (
    LABEL_CHUNK_VOXELS,
    VALUE_CHUNK_VOXELS,
    pack_labels,
    pack_values,
    sent_as_hu,
    slices_per_chunk,
)
from core.volume import MaskPair, Volume

ADDRESS = "/lunglens/slices"
_GZIP_WINDOW = 31

_GONE = "There are no such slices. The scan may have been closed; reload the page."
_NOT_LOGGED_IN = "This server asks for a login first; reload the page."
_TOO_LONG = "This stroke is too long to be sent; draw it in parts."
CORRECTED_HEADER = "X-Lunglens-Corrected"
"""Says whether labels hold the corrected masks: "1" or "0"."""
REVISION_HEADER = "X-Lunglens-Revision"
"""Of the masks as they are, where a stroke was drawn for others."""
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, eq=False)
class Labels:
    """Masks as they were at one time; `version` distinguishes them from those before and after."""

    version: int
    pairs: Mapping[str, MaskPair | None]
    """By source, as in `core.ui.viewer.packing.BITS`."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to mark."""
        known = [pair for pair in self.pairs.values() if pair is not None]
        return all(pair.lung is None and pair.infection is None for pair in known)

    def same(self, pairs: Mapping[str, MaskPair | None]) -> bool:
        """Whether these are the very masks."""
        return all(self.pairs[source] is pair for source, pair in pairs.items())


@dataclass(eq=False)
class Offer:
    """What the browser may fetch with a token that nobody can guess."""

    volume: Volume
    labels: Labels
    correction: Correction | None = None
    """What strokes of the browser change; none where masks cannot be corrected."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def fits(self, volume: Volume) -> bool:
        """Whether what was already sent of this offer holds for `volume` too."""
        if volume.array is not self.volume.array:
            return False
        return volume.intensity == self.volume.intensity or not sent_as_hu(volume)


class Offers:
    """All offers of this server, each held by its owner alone."""

    def __init__(self) -> None:
        self._by_owner: weakref.WeakKeyDictionary[object, Offer] = weakref.WeakKeyDictionary()
        self._by_token: weakref.WeakValueDictionary[str, Offer] = weakref.WeakValueDictionary()
        self._changing = threading.Lock()

    def offer(
        self,
        owner: object,
        volume: Volume,
        *,
        truth: MaskPair | None = None,
        prediction: MaskPair | None = None,
        second: MaskPair | None = None,
        correction: Correction | None = None,
    ) -> Offer:
        """The offer of `owner`: the one there is, with new labels where the masks are others.

        Args:
            owner: what the offer lives as long as; must not be held by `volume`.
            correction: what the browser may change, and whose masks are sent with the others. Its
                own changes make no new labels: the browser has drawn them.
        """
        pairs = {"truth": truth, "second": second, "prediction": prediction}
        with self._changing:
            known = self._by_owner.get(owner)
            if known is None or not known.fits(volume):
                known = Offer(volume, Labels(1, pairs))
                self._by_owner[owner] = known
                self._by_token[known.token] = known
            elif not known.labels.same(pairs):
                known.labels = Labels(known.labels.version + 1, pairs)
            known.volume = volume
            known.correction = correction
            return known

    def withdraw(self, owner: object) -> None:
        """Takes back what `owner` offers, whether or not anything still holds the owner."""
        with self._changing:
            withdrawn = self._by_owner.pop(owner, None)
            if withdrawn is not None:
                self._by_token.pop(withdrawn.token, None)

    def find(self, token: str) -> Offer | None:
        """The offer of a token; none where its owner is gone."""
        return self._by_token.get(token)


offers = Offers()


def withdraw_slices(owner: object) -> None:
    """Ends the address of the slices that `owner` offers, from this moment on."""
    offers.withdraw(owner)


def _values(request: Request) -> Response:
    if not may_fetch(request.cookies):
        return _not_logged_in()
    offer = offers.find(request.path_params["token"])
    if offer is None:
        return _gone()
    span = _span(offer.volume, request, VALUE_CHUNK_VOXELS)
    if span is None:
        return _gone()
    return _packed(pack_values(offer.volume, start=span[0], stop=span[1]))


def _labels(request: Request) -> Response:
    if not may_fetch(request.cookies):
        return _not_logged_in()
    offer = offers.find(request.path_params["token"])
    if offer is None:
        return _gone()
    labels = offer.labels
    span = _span(offer.volume, request, LABEL_CHUNK_VOXELS)
    if span is None or labels.version != _number(request, "version"):
        return _gone()
    corrected = None if offer.correction is None else offer.correction.masks()
    if labels.empty and offer.correction is None:
        return _gone()
    pairs = {**labels.pairs, "corrected": corrected}
    answer = _packed(pack_labels(pairs, offer.volume.shape, start=span[0], stop=span[1]))
    answer.headers[CORRECTED_HEADER] = "0" if corrected is None else "1"
    return answer


async def _edit(request: Request) -> Response:
    """Changes a mask as a stroke or another edit of the browser says."""
    if not may_fetch(request.cookies):
        return _not_logged_in()
    offer = offers.find(request.path_params["token"])
    if offer is None or offer.correction is None:
        return _gone()
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > MOST_BODY_BYTES:
                return _refused(_TOO_LONG, 413)
    except ClientDisconnect:
        return _refused(_TOO_LONG, 400)
    return await run_in_threadpool(_edited, offer, dict(request.query_params), bytes(body))


def _edited(offer: Offer, asked: dict[str, str], body: bytes) -> Response:
    if offer.correction is None:
        return _gone()
    try:
        changed = apply_edit(offer.correction, offer.volume, asked, body)
    except UnreadableEdit as error:
        return _refused(str(error), 400)
    except StaleCorrectionError as error:
        answer = _refused(str(error), 409)
        answer.headers[REVISION_HEADER] = str(offer.correction.revision)
        return answer
    except CorrectionError as error:
        return _refused(str(error), 422)
    return _packed(zlib.compress(changed, 1, _GZIP_WINDOW))


def _span(volume: Volume, request: Request, voxels: int) -> tuple[int, int] | None:
    chunk = _number(request, "chunk")
    if chunk is None:
        return None
    many = slices_per_chunk(volume.shape, voxels)
    start, count = chunk * many, volume.shape[2]
    return (start, min(start + many, count)) if start < count else None


def _number(request: Request, name: str) -> int | None:
    # Starlette's own conversion fails, and loudly, on a number of thousands of digits.
    text = request.path_params[name]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _packed(body: bytes) -> Response:
    headers = {**_HEADERS, "Content-Encoding": "gzip"}
    return Response(body, media_type="application/octet-stream", headers=headers)


def _refused(sentence: str, status: int) -> Response:
    return PlainTextResponse(sentence, status_code=status, headers=_HEADERS)


def _not_logged_in() -> Response:
    return PlainTextResponse(_NOT_LOGGED_IN, status_code=401, headers=_HEADERS)


def _gone() -> Response:
    return PlainTextResponse(_GONE, status_code=404, headers=_HEADERS)


def address_below(base: str) -> str:
    """Where slices are, on a server whose `server.baseUrlPath` is `base`."""
    return f"/{base.strip('/')}{ADDRESS}" if base.strip("/") else ADDRESS


def slice_routes(base: str = "") -> list[Route]:
    """The routes to mount beside Streamlit's own; `base` is its `server.baseUrlPath`."""
    before = address_below(base)
    # Plain functions: Starlette runs them in threads, and zlib lets go of the interpreter.
    return [
        Route(before + "/{token}/values/{chunk}", _values),
        Route(before + "/{token}/labels/{version}/{chunk}", _labels),
        Route(before + "/{token}/edit", _edit, methods=["POST"]),
    ]
