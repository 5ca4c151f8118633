"""Where a person is in a scan: plane, voxel and grey scale."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeGuard

from core.config import WINDOW_PRESETS, Plane
from core.volume import PLANE_AXIS

PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
Voxel = tuple[int, int, int]
Layout = Literal["single", "linked"]


@dataclass(frozen=True)
class Window:
    """The grey scale of the picture: HU at its middle and from black to white."""

    center: float
    width: float


DEFAULT_WINDOW = Window(WINDOW_PRESETS[0].center, WINDOW_PRESETS[0].width)


@dataclass
class Place:
    """What the viewer shows. The browser leads; Python follows on release, or commands.

    Attributes:
        plane: the plane of the large picture.
        voxel: (i, j, k); each plane shows the slice that holds it.
        window: the grey scale.
        command: counts what Python has asked for. The viewer obeys each number once, so that a
            page drawn again for another reason moves nothing.
        asked: the place as it was at the last command. It stays while the person moves on, so
            that what the browser has reported need not be sent back to it.
    """

    voxel: Voxel
    plane: Plane = "axial"
    window: Window = DEFAULT_WINDOW
    command: int = field(default=0, init=False)
    asked: dict[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.go_to()

    @property
    def slice_index(self) -> int:
        """Index of the shown slice of `plane`, from 0."""
        return self.voxel[PLANE_AXIS[self.plane]]

    def go_to(
        self,
        *,
        plane: Plane | None = None,
        voxel: Voxel | None = None,
        layout: Layout | None = None,
    ) -> None:
        """Moves the viewer there at the next drawing of the page.

        Args:
            layout: one plane, or all three linked; none leaves that as it is.
        """
        self.plane = plane or self.plane
        self.voxel = voxel or self.voxel
        self.command += 1
        self.asked = {
            "plane": self.plane,
            "voxel": list(self.voxel),
            "center": self.window.center,
            "width": self.window.width,
            "command": self.command,
            "layout": layout,
        }

    def follow(self, reported: Any, shape: tuple[int, int, int]) -> None:
        """Takes over where the browser says it is; what makes no sense is passed over.

        Args:
            reported: {"plane", "voxel", "center", "width"} as the browser sent it.
            shape: of the scan; voxels outside are brought inside.
        """
        if not isinstance(reported, dict):
            return
        plane, voxel = reported.get("plane"), reported.get("voxel")
        if plane in PLANES:
            self.plane = plane
        if isinstance(voxel, list) and len(voxel) == 3 and all(map(_is_number, voxel)):
            i, j, k = (
                min(max(int(at), 0), count - 1) for at, count in zip(voxel, shape, strict=True)
            )
            self.voxel = (i, j, k)
        center, width = reported.get("center"), reported.get("width")
        if _is_number(center) and _is_number(width) and width > 0:
            self.window = replace(self.window, center=float(center), width=float(width))


def _is_number(value: Any) -> TypeGuard[float]:
    finite = isinstance(value, (int, float)) and not isinstance(value, bool)
    return finite and abs(value) < 1e9
