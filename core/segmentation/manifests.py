"""The manifest of a weights folder: the one reader and the one listing, whatever the weights do.

Segmentation networks and slice classifiers each have their own fields; reading the file, checking
its id and listing the unusable folders is done here for both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from core.config import NotJson, read_json, shown_value
from core.errors import ConfigError, WeightsError, shown_name

MANIFEST_NAME = "manifest.json"
CARD_NAME = "README.md"
SEGMENTATION_KIND = "segmentation"
"""Kind of a manifest without a `kind`."""
_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Manifest = dict[str, Any]


class _Listed(Protocol):
    @property
    def weights_id(self) -> str: ...

    @property
    def is_default(self) -> bool: ...


Info = TypeVar("Info")
ListedInfo = TypeVar("ListedInfo", bound=_Listed)


@dataclass(frozen=True, kw_only=True)
class StoredWeights:
    """What every manifest of a network holds; reading it needs neither Keras nor the arrays.

    Attributes:
        weights_id: folder name.
        sha256: of `weights.npz`.
        graph_sha256: of `graph.json`; none where there is no such file.
    """

    weights_id: str
    title: str
    folder: Path
    sha256: str
    graph_sha256: str | None = None
    is_default: bool = False
    manifest_text: str

    @property
    def manifest(self) -> Manifest:
        """The whole manifest."""
        manifest: Manifest = json.loads(self.manifest_text)
        return manifest

    @property
    def card_path(self) -> Path:
        """The model card, Markdown."""
        return self.folder / CARD_NAME


@dataclass(frozen=True)
class UnusableWeights:
    """A weights folder whose manifest cannot be read.

    Attributes:
        error: why, in a sentence.
        may_be_default: the manifest marks it as the default, or is too damaged to tell.
    """

    weights_id: str
    error: WeightsError
    may_be_default: bool


@dataclass(frozen=True)
class Listing(Generic[ListedInfo]):
    """The weights of one kind in one folder: the usable ones, the default first, and the rest."""

    usable: tuple[ListedInfo, ...]
    unusable: tuple[UnusableWeights, ...]

    def default(self) -> ListedInfo | None:
        """The usable weights marked as default, else the first; none where there are none.

        Raises:
            WeightsError: none are marked, and unusable ones may be. No others take their place.
        """
        if not self.usable or not self.usable[0].is_default:
            for broken in self.unusable:
                if broken.may_be_default:
                    raise self._default_is_broken(broken)
        return self.usable[0] if self.usable else None

    def _default_is_broken(self, broken: UnusableWeights) -> WeightsError:
        error, names = broken.error, ", ".join(info.weights_id for info in self.usable)
        if not names:
            return error
        return WeightsError(
            f"The default weights cannot be used. {error.what}",
            got=error.got,
            expected=error.expected,
            next_step=f"{error.next_step}, or choose other weights by name ({names})",
        )


def is_weights_id(name: str) -> bool:
    """Whether a text can be the id of weights."""
    return _ID_PATTERN.fullmatch(name) is not None


def read_manifest_as(
    folder: Path, build: Callable[[Manifest, str], Info], *, kind: str, expected: str
) -> Info:
    """The manifest of one weights folder.

    Args:
        build: makes the result of the manifest and its text; what it lets through of a
            `KeyError`, `TypeError`, `ValueError`, `AttributeError` or `ConfigError` becomes a
            `WeightsError`.
        expected: what a manifest of this kind holds, for the message.

    Raises:
        WeightsError: it is missing, no JSON, of another kind or another folder, or lacks
            something.
    """
    shown = f"{shown_name(folder)}/{MANIFEST_NAME}"
    try:
        manifest: Manifest = read_json(folder / MANIFEST_NAME)
        if not isinstance(manifest, dict):
            raise NotJson("no object")
        found_kind = manifest.get("kind", SEGMENTATION_KIND)
        weights_id = str(manifest["weights_id"])
        info = build(manifest, json.dumps(manifest)) if found_kind == kind else None
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise unreadable_manifest(folder, got=_fault(error), expected=expected) from error
    if info is None:
        raise WeightsError(
            f"The manifest {shown} describes weights of another kind",
            got=shown_name(found_kind),
            expected=kind,
            next_step="choose weights of that kind",
        )
    if weights_id != folder.name or not is_weights_id(weights_id):
        raise WeightsError(
            f"The manifest {shown} names other weights",
            got=shown_name(weights_id),
            expected=shown_name(folder),
            next_step="rename the folder or correct weights_id",
        )
    return info


def _fault(error: Exception) -> str:
    """What is wrong with a manifest, in words."""
    if isinstance(error, NotJson):
        return str(error)
    if isinstance(error, ConfigError):
        got = f" ({error.got})" if error.got else ""
        return f"{error.what[:1].lower()}{error.what[1:]}{got}"
    if isinstance(error, KeyError):
        return f"nothing under {shown_value(error.args[0])}"
    return "a value of another kind than it must be"


def unreadable_manifest(folder: Path, *, got: str, expected: str) -> WeightsError:
    """The error for a manifest that is damaged or incomplete."""
    return WeightsError(
        f"The manifest {shown_name(folder)}/{MANIFEST_NAME} cannot be read",
        got=got,
        expected=expected,
        next_step="restore the file from the repository",
    )


def list_manifests(
    place: Path, read: Callable[[Path], Info], *, kind: str
) -> tuple[tuple[Info, ...], tuple[UnusableWeights, ...]]:
    """All weights of a kind in a folder, by name: those that can be read, and those that cannot.

    A manifest too damaged to tell its kind counts as unusable for every kind.
    """
    usable: list[Info] = []
    unusable: list[UnusableWeights] = []
    for path in sorted(place.glob(f"*/{MANIFEST_NAME}")):
        manifest = _peek(path)
        if manifest is not None and manifest.get("kind", SEGMENTATION_KIND) != kind:
            continue
        try:
            usable.append(read(path.parent))
        except WeightsError as error:
            may_be_default = manifest is None or bool(manifest.get("default", False))
            unusable.append(UnusableWeights(path.parent.name, error, may_be_default))
    return tuple(usable), tuple(unusable)


def list_kind(place: Path, read: Callable[[Path], ListedInfo], *, kind: str) -> Listing[ListedInfo]:
    """`list_manifests` for kinds of which one is the default, which comes first."""
    usable, unusable = list_manifests(place, read, kind=kind)
    ordered = sorted(usable, key=lambda info: (not info.is_default, info.weights_id))
    return Listing(tuple(ordered), unusable)


def _peek(path: Path) -> Manifest | None:
    """The manifest as it is; none where it is no JSON object."""
    try:
        manifest = read_json(path)
    except NotJson:
        return None
    return manifest if isinstance(manifest, dict) else None
