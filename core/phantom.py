"""The demo study: a generated chest CT of nobody, with its true lung and infection masks.

Anatomy is written down in millimetres: x towards the patient's left (0 is the midline), y
towards the back (0 is the front of the spine), z upwards (0 is the lowest edge of the scan).
Outlines are tables of control points at a few heights, joined by smooth curves; lung vessels
and airways are trees grown towards random points of each lobe. Everything is painted back to
front with antialiased edges, later organs over earlier ones, so that what is left of the lungs
at the end is the true lung mask. The extent is fixed; `shape` only changes the sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from core.progress import OnProgress, ignore_progress
from core.volume import Intensity, MaskPair, Study, volume_from_file

Points = npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]
ByteImage = npt.NDArray[np.uint8]
Row = tuple[float, ...]

EXTENT_MM = (378.88, 378.88, 288.0)
FRONT_EDGE_MM = -202.0
LATTICE = (96, 128, 128)
"""Slices, rows and columns of the coarse grid on which smooth fields are made."""

AIR, LUNG, FAT, MUSCLE, BLOOD, LIVER, SKIN = -1000.0, -850.0, -103.0, 52.0, 42.0, 58.0, 15.0
CORTEX, MARROW, CARTILAGE, DISC = 780.0, 190.0, 95.0, 85.0
LUNG_TOP_MM = 272.0
INFECTED_FRACTION = 0.115


# ---------------------------------------------------------------- frame and canvas


@dataclass(frozen=True)
class Frame:
    """Where the voxels of a (columns, rows, slices) grid lie in the patient."""

    shape: tuple[int, int, int]

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Column, row and slice distance."""
        x, y, z = (extent / n for extent, n in zip(EXTENT_MM, self.shape, strict=True))
        return x, y, z

    @cached_property
    def z_mm(self) -> Points:
        """Heights of the slice centres."""
        return np.asarray((np.arange(self.shape[2]) + 0.5) * self.spacing_mm[2], dtype=np.float64)

    def columns(self, x_mm: Any) -> Any:
        """Column index (fractional) of x."""
        return (np.asarray(x_mm) + EXTENT_MM[0] / 2) / self.spacing_mm[0] - 0.5

    def rows(self, y_mm: Any, z_mm: Any) -> Any:
        """Row index (fractional) of y at height z; the spine leans forward at the top."""
        lean = 14.0 * np.clip((np.asarray(z_mm) - 150.0) / 138.0, 0.0, 1.0) ** 1.6
        return (np.asarray(y_mm) - lean - FRONT_EDGE_MM) / self.spacing_mm[1] - 0.5

    def slices(self, low_mm: float, high_mm: float) -> Iterator[tuple[int, float]]:
        """Index and height of the slices between two heights."""
        for k, z in enumerate(self.z_mm):
            if low_mm <= z <= high_mm:
                yield k, float(z)

    def grid(self, z_mm: float) -> tuple[FloatImage, FloatImage]:
        """x (1, columns) and y (rows, 1) in mm of one slice."""
        x = (np.arange(self.shape[0]) + 0.5) * self.spacing_mm[0] - EXTENT_MM[0] / 2
        y = (np.arange(self.shape[1]) - self.rows(0.0, z_mm)) * self.spacing_mm[1]
        return x[None].astype(np.float32), y[:, None].astype(np.float32)


def _product(a: ByteImage, b: ByteImage) -> ByteImage:
    """The product of two shares, both 0 to 255."""
    result: Any = cv2.multiply(a, b, scale=1 / 255)
    return np.asarray(result, dtype=np.uint8)


class Canvas:
    """HU (slices, rows, columns) under construction, and how much of each voxel is lung."""

    def __init__(self, frame: Frame) -> None:
        columns, rows, slices = frame.shape
        self.frame = frame
        self.hu = np.full((slices, rows, columns), AIR, dtype=np.float32)
        self.lung = np.zeros((slices, rows, columns), dtype=np.uint8)

    def coverage(self, k: int, outline: Points) -> tuple[tuple[slice, slice], ByteImage] | None:
        """Where a closed (n, 2) outline in mm covers slice k, and by how much (0 to 255)."""
        column = self.frame.columns(outline[:, 0])
        row = self.frame.rows(outline[:, 1], self.frame.z_mm[k])
        left, top = max(int(column.min()) - 2, 0), max(int(row.min()) - 2, 0)
        right = min(int(column.max()) + 3, self.frame.shape[0])
        bottom = min(int(row.max()) + 3, self.frame.shape[1])
        if right <= left or bottom <= top:
            return None
        alpha = np.zeros((bottom - top, right - left), dtype=np.uint8)
        pixels = np.stack([column - left, row - top], axis=1)
        fixed_point = np.round(pixels * 256).astype(np.int32)
        cv2.fillPoly(alpha, [fixed_point], 255, lineType=cv2.LINE_AA, shift=8)
        return (slice(top, bottom), slice(left, right)), alpha

    def fill(self, k: int, outline: Points, hu: float, *, clip: ByteImage | None = None) -> None:
        """Paints a closed outline over slice k, inside `clip` (a whole slice) where given."""
        covered = self.coverage(k, outline)
        if covered is None:
            return
        box, alpha = covered
        if clip is not None:
            alpha = _product(alpha, clip[box])
        self.blend(k, box, alpha, hu)

    def blend(self, k: int, box: tuple[slice, slice], alpha: ByteImage, hu: float) -> None:
        """Mixes `hu` into a box of slice k; what is covered stops being lung."""
        self.lung[k][box] = _product(self.lung[k][box], 255 - alpha)
        weight = alpha.astype(np.float32) * np.float32(1 / 255)
        patch = self.hu[k][box]
        patch += weight * (np.float32(hu) - patch)


# ---------------------------------------------------------------- curves


def _along_z(table: Mapping[float, Any], z_mm: Any) -> Points:
    """Values of a table at other heights, shape-preserving, constant beyond its ends."""
    heights = np.array(sorted(table))
    values = np.array([table[height] for height in heights], dtype=np.float64)
    clipped = np.clip(z_mm, heights[0], heights[-1])
    result: Points = PchipInterpolator(heights, values, axis=0)(clipped)
    return result


def _smooth(points: Points, *, closed: bool, per_span: int = 8) -> Points:
    """A Catmull-Rom curve (m, 2) through (n, 2) control points."""
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        first, last = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
        padded = np.concatenate([first[None], points, last[None]])
    t = np.arange(per_span)[:, None, None] / per_span
    a, b, c, d = (padded[i : len(padded) - 3 + i][None] for i in range(4))
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    flat = curve.transpose(1, 0, 2).reshape(-1, 2)
    return flat if closed else np.concatenate([flat, points[-1:]])


_TURN = np.linspace(0, 2 * np.pi, 40, endpoint=False)


def _ellipse(x: float, y: float, rx: float, ry: float, degrees: float = 0.0) -> Points:
    """An ellipse as a closed outline (40, 2)."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    u, v = rx * np.cos(_TURN), ry * np.sin(_TURN)
    return np.stack([x + c * u - s * v, y + s * u + c * v], axis=1)


def _paint_tube(canvas: Canvas, table: Mapping[float, Row], hu: float, grow_mm: float = 0) -> None:
    """An upright tube: table of height → x, y, rx, ry (and turn in degrees)."""
    low, high = min(table), max(table)
    for k, z in canvas.frame.slices(low, high):
        x, y, rx, ry, *turn = _along_z(table, z)
        canvas.fill(k, _ellipse(x, y, rx + grow_mm, ry + grow_mm, *turn), hu)


def _paint_outline(canvas: Canvas, table: Mapping[float, Sequence[Row]], hu: float) -> None:
    """A solid organ: table of height → closed control points."""
    for k, z in canvas.frame.slices(min(table), max(table)):
        canvas.fill(k, _smooth(_along_z(table, z), closed=True), hu)


# ---------------------------------------------------------------- chest cage

SIDES = (-1, 1)

CAGE_TEMPLATE: tuple[Row, ...] = (
    (0.16, 0.15), (0.20, 0.54), (0.28, 0.85), (0.43, 1.0), (0.615, 0.87), (0.78, 0.52),
    (0.92, 0.0), (0.995, -0.29), (0.975, -0.58), (0.86, -0.82), (0.67, -0.96), (0.45, -1.0),
    (0.20, -0.995), (0.03, -0.98),
)  # fmt: skip
"""Inner chest wall from beside the spine round to the sternum, of half-width and depths 1."""

CAGE_SIZE: dict[float, Row] = {
    0: (120, 100, 58), 40: (124, 105, 60), 82: (126, 111, 60), 107: (125, 108, 56),
    147: (122, 104, 52), 180: (119, 98, 52), 196: (115, 92, 52), 217: (107, 80, 51),
    235: (100, 68, 50), 250: (93, 56, 48), 272: (88, 50, 46),
}  # fmt: skip
"""Half-width, depth in front of and behind the front of the spine, in mm."""


@dataclass(frozen=True)
class Wall:
    """The inner chest wall of one side at one height: points and outward normals (n, 2)."""

    points: Points
    normals: Points

    def offset(self, mm: Any) -> Points:
        """The curve moved outwards, by one distance or one per point."""
        distance = np.broadcast_to(mm, (len(self.points),))[:, None]
        moved: Points = self.points + self.normals * distance
        return moved

    def band(self, inner_mm: Any, outer_mm: Any, part: npt.NDArray[np.bool_]) -> Points:
        """The closed outline between two offsets over a run of points."""
        inner, outer = self.offset(inner_mm)[part], self.offset(outer_mm)[part]
        return np.concatenate([outer, inner[::-1]])


@lru_cache(maxsize=512)
def _wall(z_mm: float, side: int) -> Wall:
    """The chest wall of the left (1) or right (-1) side."""
    width, front, back = _along_z(CAGE_SIZE, z_mm)
    template = np.array(CAGE_TEMPLATE)
    scaled = template * np.stack(
        [np.full(len(template), width), np.where(template[:, 1] < 0, front, back)], axis=1
    )
    apex = max(1.0 - (max(z_mm - 225.0, 0.0) / (LUNG_TOP_MM - 225.0)) ** 2, 0.0) ** 0.5
    scaled = (42.0, 4.0) + (scaled - (42.0, 4.0)) * max(apex, 0.05)
    curve = _smooth(scaled, closed=False, per_span=8)
    tangent = np.gradient(curve, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal = ndimage.gaussian_filter1d(normal, 1.5, axis=0, mode="nearest")
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    mirror = (side * (0.975 if side > 0 else 1.0), 1.0)
    return Wall(curve * mirror, normal * (side, 1.0))


def _cage_outline(z_mm: float, offset_mm: Any = 0.0) -> Points:
    """The walls of both sides joined in front and behind."""
    right, left = (_wall(z_mm, side).offset(offset_mm) for side in SIDES)
    return np.concatenate([left, right[::-1]])


def _position(wall: Wall) -> Points:
    """0 beside the spine to 1 at the sternum, for each point of a wall."""
    return np.linspace(0.0, 1.0, len(wall.points))


BODY: dict[float, Sequence[Row]] = {
    0: ((0, -131), (30, -131), (66, -128), (101, -115), (130, -90), (148, -55), (154, -15),
        (151, 25), (137, 58), (108, 82), (70, 94), (30, 96), (0, 93)),
    60: ((0, -130), (30, -131), (66, -128), (101, -116), (131, -92), (150, -55), (157, -15),
         (153, 25), (138, 58), (108, 82), (70, 94), (30, 96), (0, 92)),
    147: ((0, -121), (30, -126), (70, -128), (106, -116), (136, -90), (153, -55), (160, -15),
          (157, 25), (142, 58), (111, 82), (70, 95), (30, 97), (0, 93)),
    196: ((0, -110), (30, -117), (70, -124), (110, -114), (141, -92), (163, -55), (173, -8),
          (172, 32), (153, 64), (115, 86), (70, 97), (30, 98), (0, 95)),
    230: ((0, -92), (30, -98), (70, -106), (112, -98), (146, -76), (171, -42), (182, 0),
          (180, 38), (158, 68), (118, 88), (70, 97), (30, 98), (0, 95)),
    260: ((0, -72), (30, -78), (70, -86), (115, -80), (150, -60), (175, -30), (184, 4),
          (180, 40), (160, 66), (120, 84), (70, 92), (30, 93), (0, 91)),
    288: ((0, -58), (30, -62), (65, -68), (110, -64), (150, -47), (178, -20), (186, 8),
          (180, 38), (155, 60), (115, 76), (70, 84), (30, 86), (0, 85)),
}  # fmt: skip
"""Left half of the skin, from the sternum to the back."""


def _body_outline(z_mm: float, inset_mm: float = 0.0) -> Points:
    """The skin, moved inwards by a distance."""
    half = _along_z(BODY, z_mm)
    mirrored = half[-2:0:-1] * (-1.015, 1.0)
    outline = _smooth(np.concatenate([half, mirrored]), closed=True)
    # A body is never quite symmetric.
    turn = np.arctan2(outline[:, 1], outline[:, 0])
    outline *= (1.0 + 0.008 * np.sin(3 * turn + 0.02 * z_mm) + 0.005 * np.sin(5 * turn))[:, None]
    tangent = np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return outline - inset_mm * normal


def _paint_body(canvas: Canvas) -> None:
    """Skin and the fat beneath it."""
    for k, z in canvas.frame.slices(0, EXTENT_MM[2]):
        canvas.fill(k, _body_outline(z), SKIN)
        canvas.fill(k, _body_outline(z, 2.0), FAT)


def _paint_trunk_muscles(canvas: Canvas) -> None:
    """Serratus and obliques in slips, a plane of fat, then intercostals between the ribs."""
    for k, z in canvas.frame.slices(0, 262):
        s = _position(_wall(z, 1))
        lateral = np.exp(-(((s - 0.5) / 0.16) ** 2))
        slips = np.sin(25 * s + z / 7.5) + 0.6 * np.sin(43 * s - z / 11.0)
        for offset, hu in (
            (11.2 + 5.5 * lateral + 0.9 * slips, MUSCLE), (10.6 + 0.7 * slips, FAT + 25),
            (9.2 - 0.5 * slips, MUSCLE - 12), (2.6, FAT + 40), (1.2, MUSCLE - 40),
        ):  # fmt: skip
            canvas.fill(k, _cage_outline(z, offset), hu)


def _paint_back_muscles(canvas: Canvas) -> None:
    """Erector spinae on both sides of the spinous processes, trapezius over them."""
    for k, z in canvas.frame.slices(0, EXTENT_MM[2]):
        for side in SIDES:
            top = np.clip((z - 150.0) / 120.0, 0.0, 1.0)
            reach = float(np.interp(z, (40, 120, 200), (30, 58, 95)))
            trapezius = np.array(
                [(2, 77), (0.25 * reach, 78 + 2 * top), (0.6 * reach, 78 - 3 * top), (reach, 69),
                 (0.6 * reach, 72 - 3 * top), (0.25 * reach, 72), (4, 70)]
            )  # fmt: skip
            canvas.fill(k, _smooth(trapezius * (side, 1), closed=True), MUSCLE - 4)
            for x, y, rx, ry, turn in (
                (17, 62, 14, 11, -8), (39 - 4 * top, 62, 13 - 3 * top, 9 - 2 * top, 15),
            ):  # fmt: skip
                canvas.fill(k, _ellipse(side * x, y, rx, ry, side * turn), MUSCLE)
                canvas.fill(k, _ellipse(side * (x + 3), y + 1, rx * 0.5, 0.5, side * 40), FAT + 60)


def _paint_pectorals(canvas: Canvas) -> None:
    """Pectoralis major and minor in front, latissimus dorsi at the side and back."""
    for k, z in canvas.frame.slices(0, 262):
        for side in SIDES:
            wall = _wall(z, side)
            s = _position(wall)
            major = 15.0 * np.exp(-(((z - 215.0) / 42.0) ** 2))
            away = (
                26.0 * np.clip((z - 170.0) / 60.0, 0, 1) * np.clip((0.74 - s) / 0.14, 0, 1) ** 1.5
            )
            part = (s > 0.58) & (s < 0.95)
            bulge = np.sin(np.pi * np.clip((s - 0.58) / 0.37, 0, 1)) ** 0.6
            if major > 1.5:
                inner = 16.0 + away
                canvas.fill(k, wall.band(inner, inner + 1 + major * bulge, part), MUSCLE)
            minor = 8.0 * np.exp(-(((z - 225.0) / 22.0) ** 2))
            if minor > 1.5:
                part = (s > 0.6) & (s < 0.8)
                hump = np.sin(np.pi * np.clip((s - 0.6) / 0.2, 0, 1))
                inner = 13.0 + 0.4 * away
                canvas.fill(k, wall.band(inner, inner + minor * hump, part), MUSCLE - 2)
            if z < 225:
                dorsal = 5.0 + 9.0 * np.exp(-(((z - 180.0) / 50.0) ** 2))
                start = float(np.interp(z, (0, 150), (0.13, 0.27)))
                part = (s > start) & (s < 0.56)
                hump = np.sin(np.pi * np.clip((s - start) / (0.56 - start), 0, 1)) ** 0.7
                canvas.fill(k, wall.band(17.5, 17.5 + dorsal * hump, part), MUSCLE)


SCAPULA: dict[float, Sequence[Row]] = {
    152: ((-112, 40), (-107, 48), (-100, 54)),
    180: ((-130, 21), (-117, 42), (-98, 56)),
    196: ((-133, 24), (-112, 47), (-80, 61)),
    217: ((-130, 32), (-106, 54), (-66, 70)),
    245: ((-126, 30), (-98, 52), (-62, 66)),
    262: ((-120, 22), (-98, 44), (-72, 58)),
}  # fmt: skip
"""Blade of the right scapula: lateral end, middle, medial end."""


def _stroke(points: Points, thickness_mm: Any) -> Points:
    """The closed outline of a line drawn with a pen."""
    tangent = np.gradient(points, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal *= np.asarray(thickness_mm)[:, None] / 2 / np.linalg.norm(normal, axis=1)[:, None]
    return np.concatenate([points + normal, (points - normal)[::-1]])


def _paint_scapulae(canvas: Canvas) -> None:
    """Shoulder blades between subscapularis and infraspinatus."""
    for k, z in canvas.frame.slices(146, 268):
        for side in SIDES:
            blade = _smooth(_along_z(SCAPULA, z) * (-side, 1.0), closed=False, per_span=12)
            t = np.linspace(0, 1, len(blade))
            belly = np.sin(np.pi * np.clip(t * 0.96 + 0.02, 0, 1)) ** 0.7
            grown = float(np.clip((z - 140) / 50, 0.25, 1))
            shift = np.array((0.45 * side, 0.9))
            canvas.fill(k, _stroke(blade + 10 * grown * shift, 19 * grown * belly + 1), MUSCLE)
            canvas.fill(k, _stroke(blade - 7 * grown * shift, 15 * grown * belly + 1), MUSCLE - 3)
            x, y = blade[0]
            teres = _ellipse(x + 6 * side, y - 4, 17 * grown, 12, -35 * side)
            canvas.fill(k, teres, MUSCLE)
            thick = 2.2 + 8.0 * np.exp(-((t / 0.13) ** 2)) + 3.0 * np.exp(-(((t - 1) / 0.1) ** 2))
            canvas.fill(k, _stroke(blade, thick), CORTEX)
            canvas.fill(k, _stroke(blade[1:-1], np.maximum(thick[1:-1] - 2.4, 0.2)), MARROW + 150)
            if z > 234:
                root = blade[2 * len(blade) // 3]
                spine = np.linspace(root, root + np.array((20.0 * side, 14.0)), 8)
                canvas.fill(k, _stroke(spine, np.linspace(4, 5.5, 8)), CORTEX - 100)


def _paint_girdle(canvas: Canvas) -> None:
    """Muscle bellies of neck and shoulders: fat runs where smooth noise crosses zero."""
    rng = np.random.default_rng(3)
    bellies = np.minimum(np.abs(_noise(rng, 3.6)), 0.25 + np.abs(_noise(rng, 2.0)))
    for k, z in canvas.frame.slices(228, EXTENT_MM[2]):
        level = float(np.interp(z, (228, 262), (2.6, 0.42)))
        share = np.clip((_slice_of(bellies, canvas.frame, k) - level) / 0.2 + 0.5, 0, 1)
        clip = (share * 255).astype(np.uint8)
        canvas.fill(k, _body_outline(z, 15.0), MUSCLE - 3, clip=clip)
        rise = float(np.clip((z - 222) / 40, 0.0, 1.0))
        for side in SIDES:
            for x, y, rx, ry, turn in (
                (152, 8, 15, 22, 20), (132, -24, 18, 11, 28), (62, -56, 36, 8, 10),
            ):  # fmt: skip
                canvas.fill(k, _ellipse(side * x, y, rx * rise, ry * rise, side * turn), MUSCLE - 2)


# ---------------------------------------------------------------- bones


@dataclass(frozen=True)
class Rib:
    """One pair of ribs: where it leaves the spine, how far it falls, how far round it goes."""

    head_mm: float
    drop_mm: float
    end: float
    cartilage: bool

    def height(self, s: Points) -> Points:
        """z of its centreline at positions along the wall; cartilage rises to the sternum."""
        fall = self.drop_mm * (0.15 * s + 0.85 * np.clip(s / 0.85, 0, 1) ** 1.35)
        rise = (0.55 * self.drop_mm * np.clip((s - 0.86) / 0.14, 0, 1)) if self.cartilage else 0
        return self.head_mm - fall + rise


RIBS = tuple(
    Rib(
        head_mm=266.0 - 21.5 * n,
        drop_mm=min(20.0 + 16.0 * n, 88.0),
        end=(0.80, 0.82, 0.84, 0.85, 0.85, 0.84, 0.82, 0.78, 0.72, 0.64, 0.45, 0.3)[n],
        cartilage=n < 8,
    )
    for n in range(12)
)


def _rib_runs(rib: Rib, s: Points, z_mm: float, half_mm: float) -> Iterator[tuple[Points, Any]]:
    """Relative thickness (0 to 1) and run of points where a slice cuts a rib."""
    inside = 1.0 - ((z_mm - rib.height(s)) / half_mm) ** 2
    cut = (inside > 0.02) & (s > 0.035)
    labels, count = ndimage.label(cut)
    for run in range(1, count + 1):
        yield np.sqrt(np.clip(inside, 0, 1)), labels == run


def _paint_ribs(canvas: Canvas) -> None:
    """Ribs with cortex and marrow, and their cartilages."""
    for k, z in canvas.frame.slices(0, 268):
        for side in SIDES:
            wall = _wall(z, side)
            # Finer points than the wall has, so that steep cuts keep smooth ends.
            wall = Wall(*(ndimage.zoom(a, (4, 1), order=1) for a in (wall.points, wall.normals)))
            s = _position(wall)
            for rib in RIBS:
                bone = s < rib.end
                for reach, run in _rib_runs(rib, s, z, 7.0):
                    if (run & bone).sum() > 2:
                        half = 3.4 * reach
                        canvas.fill(k, wall.band(5.0 - half, 5.0 + half, run & bone), CORTEX)
                    if rib.cartilage and (run & ~bone).sum() > 2:
                        half = 4.6 * reach
                        part = run & ~bone
                        canvas.fill(k, wall.band(6.0 - half, 6.0 + half, part), CARTILAGE)
                for reach, run in _rib_runs(rib, s, z, 5.4):
                    if (run & bone).sum() > 2:
                        half = 2.0 * reach
                        canvas.fill(k, wall.band(5.0 - half, 5.0 + half, run & bone), MARROW)


def _paint_sternum(canvas: Canvas) -> None:
    """Manubrium, body and xiphoid."""
    table: dict[float, Row] = {
        112: (6, 3), 125: (11, 4), 135: (17, 5), 160: (20, 5.5), 195: (16, 5.5), 212: (19, 6),
        225: (28, 7), 240: (31, 8), 247: (24, 7),
    }  # fmt: skip
    for k, z in canvas.frame.slices(112, 247):
        half_width, half_depth = _along_z(table, z)
        y = -_along_z(CAGE_SIZE, z)[1] - 2.5 - half_depth
        box = np.array([(-1, -0.7), (-0.5, -1), (0, -0.9), (0.5, -1), (1, -0.7), (1, 0.6),
                        (0.5, 0.9), (0, 1), (-0.5, 0.9), (-1, 0.6)])  # fmt: skip
        for shrink, hu in ((0.0, CORTEX - 180), (1.5, MARROW - 60)):
            size = (half_width - shrink, half_depth - shrink)
            canvas.fill(k, _smooth(box * size + (0.0, y), closed=True), hu)


def _paint_shoulder_bones(canvas: Canvas) -> None:
    """Clavicles, raised with the arms, and the heads of the humeri."""
    for side in SIDES:
        clavicle = [(side * x, y, z, 6.2) for x, y, z in
                    ((22, -62, 243), (55, -64, 256), (95, -50, 272), (130, -22, 290))]  # fmt: skip
        _tube_chain(canvas, clavicle, CORTEX - 150)
        _tube_chain(canvas, [(*node[:3], 4.0) for node in clavicle], MARROW - 60)
    for k, z in canvas.frame.slices(268, EXTENT_MM[2]):
        radius = max(24.0**2 - (z - 292.0) ** 2, 0.0) ** 0.5
        for side in SIDES:
            if radius > 4:
                canvas.fill(k, _ellipse(side * 150, 14, radius, radius * 0.95), CORTEX - 200)
                canvas.fill(k, _ellipse(side * 150, 14, radius - 2, radius * 0.95 - 2), MARROW - 40)


def _paint_vertebra(canvas: Canvas, k: int, z: float) -> None:
    """One slice of the spine; `phase` runs from 0 to 1 through each vertebra and its disc."""
    phase = (z - 266.0) / 21.5 % 1.0
    size = float(np.interp(z, (0, 150, 288), (21.0, 17.0, 15.0)))
    disc = float(np.clip((0.13 - min(phase, 1 - phase)) / 0.05, 0, 1))
    waist = 1.0 - 0.10 * np.sin(np.pi * phase) ** 2
    body = np.array(
        [(0, 0.0), (0.52, 0.08), (0.9, 0.48), (1.0, 1.02), (0.84, 1.48), (0.42, 1.66), (0, 1.58),
         (-0.42, 1.66), (-0.84, 1.48), (-1.0, 1.02), (-0.9, 0.48), (-0.52, 0.08)]
    )  # fmt: skip
    outline = body * (size * waist, size * 0.97)
    arch = _smooth(
        np.array([(0.62, 1.5), (0.8, 2.0), (0.72, 2.6), (0.25, 3.05), (0, 3.15), (-0.25, 3.05),
                  (-0.72, 2.6), (-0.8, 2.0), (-0.62, 1.5)]) * size, closed=True)  # fmt: skip
    pedicle = 0.25 < phase < 0.8
    if pedicle:
        for side in SIDES:
            reach = 2.0 * size + 3
            arm = _smooth(np.array([(0.7 * size, 2.1 * size), (1.35 * size, 2.35 * size),
                                    (reach, 2.8 * size)]) * (side, 1), closed=False)  # fmt: skip
            if phase > 0.4:
                beside = 255 - canvas.lung[k]  # never into the lung
                shaft = np.linspace(9, 7, len(arm))
                canvas.fill(k, _stroke(arm, shaft), CORTEX - 200, clip=beside)
                canvas.fill(k, _stroke(arm, shaft - 3), MARROW, clip=beside)
    canvas.fill(k, arch if pedicle else arch * (0.8, 1) + (0, 2), CORTEX - 150)
    tip = 0.055 * size
    length = 18.0 if phase < 0.55 else 10.0
    process = np.array([(0, 2.7 * size), (0, 2.9 * size + length / 2), (0, 2.9 * size + length)])
    canvas.fill(k, _stroke(process, np.array([5, 4, 6.0]) + tip), CORTEX - 180)
    canvas.fill(k, _stroke(process, np.array([2.4, 1.4, 3.0])), MARROW)
    canvas.fill(k, _smooth(outline, closed=True), (1 - disc) * (CORTEX - 350) + disc * DISC)
    inner = (outline - (0, 0.8 * size)) * 0.9 + (0, 0.8 * size)
    endplate = np.exp(-(((min(phase, 1 - phase) - 0.15) / 0.04) ** 2))
    core = (1 - disc) * (MARROW + 170 * endplate) + disc * DISC
    canvas.fill(k, _smooth(inner, closed=True), core)
    canal = _ellipse(0, 2.15 * size, 0.62 * size, 0.5 * size)
    canvas.fill(k, canal, FAT + 100)
    canvas.fill(k, _ellipse(0, 2.12 * size, 0.45 * size, 0.36 * size), 32.0)
    if not pedicle:
        for side in SIDES:
            canvas.fill(k, _ellipse(side * 0.8 * size, 2.0 * size, 5.5, 4.5), FAT + 50)


def _paint_spine(canvas: Canvas) -> None:
    for k, z in canvas.frame.slices(0, EXTENT_MM[2]):
        _paint_vertebra(canvas, k, z)


# ---------------------------------------------------------------- lungs, mediastinum, abdomen

MEDIASTINUM: dict[float, Sequence[Row]] = {
    0: ((8, -118), (54, -116), (80, -100), (88, -84), (70, -52), (48, -26), (36, -10), (36, 8),
        (24, 18), (22, 34), (0, 46), (-22, 34), (-16, 14), (-8, 2), (-12, -10), (-20, -18),
        (-34, -34), (-44, -64), (-42, -94), (-16, -118)),
    70: ((8, -118), (54, -116), (80, -100), (88, -84), (70, -52), (48, -26), (36, -10), (36, 8),
         (24, 18), (22, 34), (0, 46), (-22, 34), (-16, 14), (-8, 2), (-12, -10), (-20, -18),
         (-34, -34), (-44, -64), (-42, -94), (-16, -118)),
    95: ((8, -118), (54, -114), (78, -95), (88, -74), (85, -48), (68, -28), (42, -12), (38, 8),
         (24, 17), (22, 34), (0, 46), (-22, 34), (-16, 12), (-6, 0), (-8, -12), (-20, -18),
         (-36, -34), (-44, -64), (-42, -94), (-16, -118)),
    112: ((8, -118), (54, -111), (78, -92), (92, -68), (92, -44), (75, -22), (42, -10), (39, 8),
          (24, 17), (22, 34), (0, 46), (-22, 34), (-16, 12), (-6, 0), (-8, -12), (-22, -20),
          (-38, -36), (-44, -64), (-38, -92), (-14, -118)),
    131: ((8, -116), (42, -104), (68, -86), (84, -63), (85, -40), (70, -19), (40, -6), (40, 10),
          (24, 17), (22, 34), (0, 46), (-22, 34), (-16, 12), (-6, 0), (-10, -10), (-26, -18),
          (-40, -34), (-43, -62), (-34, -90), (-12, -116)),
    147: ((6, -104), (30, -99), (50, -88), (60, -70), (60, -46), (48, -28), (41, -8), (41, 10),
          (24, 17), (22, 34), (0, 46), (-22, 34), (-16, 12), (-7, 0), (-14, -10), (-34, -18),
          (-40, -38), (-42, -62), (-32, -88), (-8, -104)),
    163: ((4, -102), (20, -94), (36, -82), (42, -64), (44, -42), (50, -22), (42, -6), (41, 12),
          (24, 17), (22, 34), (0, 46), (-22, 34), (-16, 12), (-9, -2), (-20, -12), (-42, -20),
          (-42, -40), (-36, -62), (-26, -86), (-5, -101)),
    180: ((4, -98), (14, -88), (24, -74), (36, -56), (50, -42), (58, -28), (46, -8), (41, 12),
          (24, 17), (22, 34), (0, 46), (-22, 34), (-16, 12), (-11, -2), (-22, -16), (-44, -26),
          (-46, -42), (-34, -62), (-22, -82), (-4, -98)),
    196: ((4, -94), (9, -86), (20, -66), (30, -46), (36, -28), (41, -10), (45, 4), (38, 15),
          (22, 18), (22, 34), (0, 46), (-22, 34), (-17, 14), (-12, 2), (-17, -10), (-30, -22),
          (-37, -40), (-34, -60), (-20, -80), (-3, -94)),
    217: ((4, -84), (10, -74), (22, -60), (32, -42), (38, -22), (41, -5), (39, 8), (30, 15),
          (20, 20), (22, 34), (0, 46), (-22, 34), (-17, 15), (-13, 4), (-14, -10), (-22, -24),
          (-36, -34), (-37, -50), (-22, -66), (-3, -82)),
    235: ((4, -72), (12, -68), (22, -60), (31, -48), (35, -36), (36, -20), (33, -6), (27, 6),
          (21, 16), (22, 34), (0, 46), (-22, 34), (-18, 16), (-15, 6), (-17, -6), (-26, -16),
          (-33, -30), (-33, -44), (-24, -58), (-6, -70)),
    250: ((4, -56), (14, -55), (24, -52), (33, -44), (36, -32), (35, -18), (31, -6), (25, 6),
          (21, 17), (22, 34), (0, 46), (-22, 34), (-20, 17), (-22, 6), (-26, -6), (-30, -18),
          (-33, -30), (-32, -42), (-24, -52), (-6, -56)),
    276: ((4, -50), (14, -49), (24, -46), (31, -40), (34, -30), (33, -18), (29, -6), (25, 6),
          (21, 17), (22, 34), (0, 46), (-22, 34), (-20, 17), (-22, 6), (-26, -6), (-30, -18),
          (-33, -30), (-32, -40), (-24, -46), (-6, -50)),
}  # fmt: skip
"""What lies between the lungs, from the front, by the left, the spine and the right."""

HEART: dict[float, Sequence[Row]] = {
    78: ((-8, -82), (12, -86), (36, -86), (56, -80), (68, -70), (68, -58), (56, -48), (40, -42),
         (20, -42), (4, -46), (-6, -56), (-10, -70)),
    95: ((-14, -88), (14, -94), (44, -94), (68, -86), (82, -70), (82, -52), (68, -36), (46, -28),
         (22, -26), (0, -30), (-14, -46), (-18, -70)),
    112: ((-16, -90), (14, -97), (46, -97), (72, -88), (88, -68), (88, -46), (74, -28),
          (50, -19), (24, -18), (0, -24), (-18, -42), (-22, -70)),
    131: ((-15, -88), (12, -95), (40, -94), (64, -82), (80, -62), (82, -42), (70, -24),
          (48, -16), (24, -18), (2, -26), (-14, -45), (-20, -70)),
    152: ((-2, -84), (18, -90), (34, -86), (46, -72), (52, -55), (48, -40), (34, -32), (18, -34),
          (4, -42), (-6, -56), (-10, -70), (-8, -80)),
}  # fmt: skip

GREAT_VESSELS: tuple[dict[float, Row], ...] = (
    {128: (0, -58, 13, 13), 147: (-4, -63, 17, 17), 165: (-6, -66, 19, 19),
     196: (-6, -62, 18, 18), 206: (-3, -58, 17, 17)},  # ascending aorta
    {0: (8, -14, 11, 11), 60: (16, -8, 12, 12), 112: (27, -2, 13, 13), 180: (27, 2, 14, 14),
     206: (27, 0, 14, 14)},  # descending aorta
    {140: (-24, -48, 13, 15), 165: (-23, -48, 10, 11), 196: (-23, -44, 9, 10),
     222: (-26, -44, 9, 9), 236: (-27, -46, 8, 8)},  # superior vena cava
    {0: (-24, -22, 12, 10), 60: (-24, -28, 13, 11), 100: (-20, -40, 14, 12)},  # inferior
    {222: (-10, -46, 7, 7), 240: (-16, -36, 6, 6), 288: (-26, -24, 4, 4)},  # brachiocephalic
    {222: (6, -40, 5, 5), 250: (16, -32, 4, 4), 288: (24, -24, 4, 4)},  # left carotid
    {222: (20, -22, 6, 6), 240: (25, -14, 6, 6), 262: (32, -18, 5, 5)},  # left subclavian
    {250: (-34, -42, 7, 5), 288: (-34, -30, 7, 6)},  # jugular veins
    {250: (34, -42, 7, 5), 288: (34, -30, 7, 6)},
    {120: (-6, 5, 3.5, 3.5), 196: (-8, 4, 3.5, 3.5)},  # azygos
)  # fmt: skip

ATRIA: tuple[dict[float, Row], ...] = (
    {92: (-14, -46, 14, 18), 112: (-20, -52, 18, 24), 135: (-20, -56, 18, 25),
     152: (-22, -56, 12, 17)},
    {124: (8, -24, 22, 8), 135: (7, -24, 30, 13), 150: (5, -24, 31, 12), 166: (4, -26, 20, 7)},
)  # fmt: skip

OESOPHAGUS: dict[float, Row] = {
    60: (10, -22, 8, 6), 90: (10, -14, 7, 5), 140: (8, -7, 8, 4), 190: (4, -8, 7, 5),
    230: (5, -8, 6, 5), 288: (4, -8, 6, 5),
}  # fmt: skip

TRACHEA: dict[float, Row] = {
    186: (-1, -22, 12, 7), 194: (-1, -22, 9.5, 8), 230: (-3, -25, 8, 8.5), 288: (-1, -34, 8, 8.5),
}  # fmt: skip


def _paint_lungs(canvas: Canvas) -> None:
    """Both halves of the chest filled with lung; the organs painted later carve it."""
    for k, z in canvas.frame.slices(0, LUNG_TOP_MM - 0.5):
        for side in SIDES:
            covered = canvas.coverage(k, _wall(z, side).points)
            if covered is not None:
                box, alpha = covered
                before = canvas.lung[k][box].copy()
                canvas.blend(k, box, alpha, LUNG)
                canvas.lung[k][box] = np.maximum(before, alpha)


def _tube_chain(canvas: Canvas, nodes: Sequence[Row], hu: float, grow_mm: float = 0.0) -> None:
    """A tube through (x, y, z, radius) nodes in any direction; it displaces lung."""
    rows = np.array(nodes)
    alpha = np.zeros(canvas.lung.shape, dtype=np.uint8)
    tree = Tree(rows[:-1, :3], rows[1:, :3], rows[:-1, 3], rows[1:, 3])
    box = _draw_tubes(alpha, canvas.frame, tree, grow_mm)
    for k in range(box[0].start, box[0].stop):
        canvas.blend(k, box[1:], alpha[k][box[1:]], hu)


ARCH: tuple[Row, ...] = (
    (-3, -58, 206, 15), (2, -50, 214, 14), (12, -32, 219, 13.5), (22, -12, 216, 13.5),
    (27, 0, 206, 13.5),
)  # fmt: skip

LUNG_TRUNKS: tuple[tuple[Row, ...], ...] = (
    ((22, -78, 140, 13), (23, -72, 158, 14), (20, -56, 174, 13)),  # pulmonary trunk
    ((20, -56, 174, 12), (34, -36, 183, 11), (44, -18, 176, 9.5), (44, -10, 162, 7.5)),
    ((20, -54, 174, 11), (0, -38, 172, 10.5), (-26, -34, 170, 9.5), (-44, -28, 164, 8)),
    ((-44, -28, 164, 7.5), (-44, -18, 148, 6.5)),
    ((-16, -26, 156, 7), (-34, -38, 160, 6), (-44, -44, 166, 5)),  # veins
    ((-16, -20, 142, 7), (-30, -12, 136, 6), (-40, -4, 130, 5)),
    ((28, -26, 158, 7), (40, -38, 162, 6), (48, -46, 168, 4.5)),
    ((30, -18, 144, 7), (40, -8, 136, 6), (48, -2, 130, 5)),
    ((-24, -36, 216, 8), (-10, -52, 224, 6.5), (14, -56, 232, 6), (30, -50, 242, 6)),
    ((-9, 4, 196, 3.5), (-16, -12, 203, 4), (-22, -36, 202, 4.5)),  # azygos arch
)  # fmt: skip

BRONCHI: tuple[tuple[Row, ...], ...] = (
    ((-4, -22, 189, 6.5), (-22, -22, 176, 6), (-34, -24, 166, 5), (-36, -20, 146, 4)),
    ((-30, -24, 174, 4), (-46, -30, 180, 3.2)),
    ((2, -22, 189, 6), (20, -18, 176, 5.5), (38, -18, 164, 4.8), (42, -10, 148, 3.8)),
    ((38, -18, 166, 4), (52, -28, 168, 3)),
)  # fmt: skip


def _paint_mediastinal_fat(canvas: Canvas) -> None:
    """Fat between the lungs; below the hila it fills their gap up to the breastbone."""
    for k, z in canvas.frame.slices(0, max(MEDIASTINUM)):
        outline = _smooth(_along_z(MEDIASTINUM, z), closed=True)
        if z > 140:
            canvas.fill(k, outline, FAT + 3)
            continue
        inside = np.zeros_like(canvas.lung[k])
        covered = canvas.coverage(k, _cage_outline(z))
        if covered is not None:
            inside[covered[0]] = covered[1]
        canvas.fill(k, outline, FAT + 3, clip=inside)


def _paint_mediastinum(canvas: Canvas) -> None:
    """Fat, heart, great vessels, oesophagus and the central airways."""
    _paint_mediastinal_fat(canvas)
    for k, z in canvas.frame.slices(255, EXTENT_MM[2]):  # longus muscles and thyroid
        for side in SIDES:
            canvas.fill(k, _ellipse(side * 12, -3, 9, 5, 10 * side), MUSCLE)
            canvas.fill(k, _ellipse(side * 36, -46, 9, 8, 30 * side), MUSCLE)
            if z > 268:
                canvas.fill(k, _ellipse(side * 14 - 1, -36, 7, 11), 95.0)
    for table in GREAT_VESSELS:  # a thin plane of fat keeps neighbours apart
        _paint_tube(canvas, table, FAT + 30, grow_mm=1.0)
    _paint_outline(canvas, HEART, BLOOD + 3)
    for table in ATRIA:
        _paint_tube(canvas, table, BLOOD - 1)
    for table in GREAT_VESSELS:
        _paint_tube(canvas, table, BLOOD)
    _tube_chain(canvas, ARCH, BLOOD)
    for nodes in LUNG_TRUNKS:
        _tube_chain(canvas, nodes, BLOOD)
    _paint_tube(canvas, OESOPHAGUS, 38.0)
    _paint_tube(canvas, TRACHEA, 30.0, grow_mm=1.8)
    for nodes in BRONCHI:
        _tube_chain(canvas, nodes, 25.0, grow_mm=1.3)
    _paint_tube(canvas, TRACHEA, AIR + 12)
    for nodes in BRONCHI:
        _tube_chain(canvas, nodes, AIR + 15)
    _paint_tube(canvas, {100: (9, -12, 1.5, 1), 110: (9, -12, 2, 1.2), 118: (9, -11, 1, 0.8)}, -600)


def _dome(x: Any, y: Any, centre: Row, reach: Row) -> Any:
    """Height of one side's diaphragm: `centre` x, y, z; `reach` medial, lateral, front, back."""
    dx, dy = x - centre[0], y - centre[1]
    outward = dx * np.sign(centre[0])
    u = dx / np.where(outward < 0, reach[0], reach[1])
    v = dy / np.where(dy < 0, reach[2], reach[3])
    return centre[2] - 60.0 * (np.sqrt(1.0 + 1.9 * (u * u + v * v)) - 1.0)


def _diaphragm(x: Any, y: Any) -> Any:
    """Height of the diaphragm above each point, as a smooth union of domes and centre."""
    sides = np.maximum(
        _dome(x, y, (-66, -48, 114), (70, 60, 58, 66)),
        _dome(x, y, (70, -24, 98), (55, 56, 75, 58)),
    )
    centre = (
        86.0
        - 30.0 * (x / 62.0) ** 4
        - 34.0 * np.where(y > -50, (y + 50) / 40.0, (y + 50) / 70) ** 2
    )
    ripple = 1.5 * np.sin(x / 17.0 + 1.0) * np.sin(y / 21.0)
    higher, gap = np.maximum(sides, centre), np.abs(sides - centre)
    return higher + 4.0 * np.exp(-gap / 6.0) + ripple


LIVER_EDGE: dict[float, Sequence[Row]] = {
    0: ((-140, -120), (-40, -120), (-10, -112), (6, -90), (-4, -60), (-14, -34), (-30, -18),
        (-44, 4), (-58, 28), (-78, 48), (-106, 52), (-140, 20)),
    45: ((-140, -120), (-40, -120), (10, -112), (44, -88), (34, -62), (6, -42), (-14, -32),
         (-32, -12), (-46, 12), (-60, 42), (-96, 72), (-140, 50)),
    80: ((-140, -120), (-40, -120), (10, -112), (56, -88), (44, -64), (8, -38), (-10, -24),
         (-32, -6), (-46, 20), (-66, 60), (-110, 84), (-140, 60)),
    115: ((-140, -120), (-40, -120), (10, -112), (40, -88), (30, -64), (8, -38), (-10, -24),
          (-32, -6), (-46, 20), (-66, 60), (-110, 84), (-140, 60)),
}  # fmt: skip


def _paint_abdomen(canvas: Canvas) -> None:
    """Everything below the diaphragm, and the diaphragm as a soft edge where it is cut flat."""
    frame = canvas.frame
    for k, z in frame.slices(0, 122):
        chest = np.zeros(canvas.lung.shape[1:], dtype=np.uint8)
        covered = canvas.coverage(k, _cage_outline(z))
        if covered is not None:
            chest[covered[0]] = covered[1]
        height = _diaphragm(*frame.grid(z)) - z
        soft = max(frame.spacing_mm[2], 1.5)
        under, inside, liver, deep = (
            _share_above(height, depth, soft, chest) for depth in (0.0, 3.5, 2.0, 4.0)
        )
        whole = (slice(None), slice(None))
        canvas.blend(k, whole, under, MUSCLE - 8)
        canvas.blend(k, whole, inside, FAT)
        canvas.fill(k, _smooth(_along_z(LIVER_EDGE, z), closed=True), LIVER, clip=liver)
        _paint_left_belly(canvas, k, z, deep)
        _paint_retroperitoneum(canvas, k, z)


def _share_above(height: Any, depth_mm: float, soft_mm: float, chest: ByteImage) -> ByteImage:
    """How much of each voxel of `chest` lies deeper than a depth under the diaphragm."""
    share = np.clip((height - depth_mm) / soft_mm + 0.5, 0.0, 1.0)
    result: ByteImage = (share * chest).astype(np.uint8)
    return result


def _paint_retroperitoneum(canvas: Canvas, k: int, z: float) -> None:
    """Upper poles of the kidneys, adrenal glands and the crura of the diaphragm."""
    for side in SIDES:
        pole = float(np.sqrt(max(1 - ((z + 8 + 4 * side) / 44) ** 2, 0.0)))
        if pole > 0.15:
            canvas.fill(k, _ellipse(side * 50, 26, 20 * pole, 26 * pole, 25 * side), 34.0)
        if 28 < z < 50:
            gland = np.array([(24, -2), (30, 8), (38, 18)]) * (side, 1)
            canvas.fill(k, _stroke(gland, np.array([4.0, 4.0, 2.0])), 28.0)
        if z < 75:
            canvas.fill(k, _ellipse(side * 17 + 2, -2, 4.5, 16, 12 * side), MUSCLE)


def _paint_left_belly(canvas: Canvas, k: int, z: float, clip: ByteImage) -> None:
    """Spleen, and a stomach whose gas lies in front of its contents."""
    spleen = np.sqrt(max(1 - ((z - 42) / 46) ** 2, 0))
    if spleen > 0.1:
        canvas.fill(k, _ellipse(88, 8, 22 * spleen, 42 * spleen, -22), 52.0, clip=clip)
    size = np.sqrt(max(1 - ((z - 48) / 44) ** 2, 0))
    if size > 0.1:
        canvas.fill(k, _ellipse(58, -52, 32 * size, 30 * size, 20), 45.0, clip=clip)
        inside = np.zeros_like(clip)
        covered = canvas.coverage(k, _ellipse(58, -52, 28 * size, 26 * size, 20))
        if covered is not None:
            inside[covered[0]] = covered[1]
        clip = _product(clip, inside)
        canvas.fill(k, _ellipse(58, -52, 40, 40), 22.0, clip=clip)
        top = np.array([(10, -140), (110, -140), (110, -66), (10, -66)], dtype=np.float64)
        canvas.fill(k, top, AIR + 20, clip=clip)


def _paint_heart_fat(canvas: Canvas) -> None:
    """Coronary grooves: fat with a small vessel in it."""
    grooves: tuple[tuple[Row, ...], ...] = (
        ((2, -84, 150, 4), (-6, -88, 135, 5), (-4, -90, 115, 5), (0, -84, 98, 4)),
        ((34, -86, 152, 3), (44, -94, 130, 3.5), (58, -94, 112, 3.5), (62, -86, 96, 3)),
        ((46, -34, 150, 4), (62, -22, 132, 4), (54, -20, 115, 4)),
    )  # fmt: skip
    for nodes in grooves:
        _tube_chain(canvas, nodes, FAT + 15)
        _tube_chain(canvas, [(*node[:3], 1.4) for node in nodes], BLOOD)


# ---------------------------------------------------------------- trees


@dataclass(frozen=True, eq=False)
class Tree:
    """Branches as segments: starts and ends (n, 3) in mm, radii (n,) in mm at both ends."""

    start: Points
    end: Points
    start_radius: Points
    end_radius: Points


SUBSLICES = 3


def _draw_tubes(
    alpha: ByteImage, frame: Frame, tree: Tree, grow_mm: float = 0.0
) -> tuple[slice, slice, slice]:
    """Draws a tree's tapering capsules into `alpha` (slices, rows, columns).

    Slices are thick: each is sampled at several heights and averaged, so that a thin vessel
    crossing a slice at right angles stays bright and one grazing it fades.

    Returns:
        The box touched.
    """
    spacing = np.array(frame.spacing_mm[::-1])
    pixel = max(frame.spacing_mm[0], 0.5)
    # Ends in mm along slices, rows and columns, from the centre of voxel (0, 0, 0).
    a, b = (
        np.stack([p[:, 2] / spacing[0] - 0.5, frame.rows(p[:, 1], p[:, 2]), frame.columns(p[:, 0])])
        for p in (tree.start, tree.end)
    )  # fmt: skip
    a, b = a.T * spacing, b.T * spacing
    r0, r1 = tree.start_radius + grow_mm, tree.end_radius + grow_mm
    margin = (np.maximum(r0, r1) + pixel)[:, None]
    low = np.maximum(np.floor((np.minimum(a, b) - margin) / spacing), 0).astype(int)
    high = np.ceil((np.maximum(a, b) + margin) / spacing).astype(int) + 1
    high = np.minimum(high, alpha.shape)
    seen = np.flatnonzero((high > low).all(axis=1))
    for n in seen:
        box = tuple(slice(p, q) for p, q in zip(low[n].tolist(), high[n].tolist(), strict=True))
        drawn = _capsule(box, spacing, a[n], b[n] - a[n], (r0[n], r1[n]), pixel)
        patch = alpha[box]
        np.maximum(patch, drawn, out=patch)
    if not len(seen):
        return slice(0, 0), slice(0, 0), slice(0, 0)
    k, j, i = zip(low[seen].min(axis=0).tolist(), high[seen].max(axis=0).tolist(), strict=True)
    return slice(*k), slice(*j), slice(*i)


def _capsule(
    box: tuple[slice, ...], spacing: Points, a: Points, d: Points, radii: Row, pixel: float
) -> ByteImage:
    """Coverage (0 to 255) of a box of voxels by one capsule from `a` along `d`, in mm."""
    slices, rows, columns = box
    depth = slices.stop - slices.start
    fine = slices.start - 0.5 + (np.arange(depth * SUBSLICES) + 0.5) / SUBSLICES
    z = (fine * spacing[0] - a[0])[:, None, None]
    y = (np.arange(rows.start, rows.stop) * spacing[1] - a[1])[:, None]
    x = np.arange(columns.start, columns.stop) * spacing[2] - a[2]
    t = (z * d[0] + (y * d[1] + x * d[2])) / max(float(d @ d), 1e-6)
    np.maximum(t, 0.0, out=t)
    np.minimum(t, 1.0, out=t)
    distance = np.sqrt((z - t * d[0]) ** 2 + (y - t * d[1]) ** 2 + (x - t * d[2]) ** 2)
    radius = radii[0] + t * (radii[1] - radii[0])
    share = (radius - distance) / pixel + 0.5
    np.maximum(share, 0.0, out=share)
    np.minimum(share, np.minimum(2.2 * radius / pixel, 1.0), out=share)
    parts = share.reshape(depth, SUBSLICES, *share.shape[1:])
    mean = (parts[:, 0] + parts[:, 1] + parts[:, 2]) * (255.0 / SUBSLICES)
    drawn: ByteImage = mean.astype(np.uint8)
    return drawn


def _grow(root: Row, targets: Points, tip_mm: float, rng: np.random.Generator) -> Tree:
    """A tree from `root` that reaches every target, by halving the targets at each fork.

    Radii follow Murray's law, near enough, in the number of tips that a branch feeds.
    """
    starts, ends, tips, parents_tips = [], [], [], []
    stack = [(np.array(root), np.arange(len(targets)), len(targets))]
    while stack:
        here, chosen, feeding = stack.pop()
        cloud = targets[chosen]
        count = len(chosen)
        if count == 1:
            there = cloud[0]
        else:
            goal = cloud.mean(axis=0) - here
            # Large branches fork soon after the hilum, small ones reach into their territory.
            there = here + goal * (0.30 + 0.40 / (1.0 + count / 60.0)) * rng.uniform(0.8, 1.2)
            there = there + rng.normal(0, 0.09, 3) * np.linalg.norm(goal)
        starts.append(here)
        ends.append(there)
        tips.append(count)
        parents_tips.append(feeding)
        if count == 1:
            continue
        spread = cloud - cloud.mean(axis=0)
        axis = np.linalg.eigh(spread.T @ spread)[1][:, -1]
        order = np.argsort(spread @ axis)
        cut = int(np.clip(round(count * rng.uniform(0.3, 0.7)), 1, count - 1))
        stack.append((there, chosen[order[:cut]], count))
        stack.append((there, chosen[order[cut:]], count))
    radius = tip_mm * np.array(tips) ** 0.37
    from_radius = np.minimum(tip_mm * np.array(parents_tips) ** 0.37, radius * 1.25)
    end_radius = np.where(np.array(tips) == 1, 0.8 * radius, radius)
    return Tree(np.array(starts), np.array(ends), from_radius, end_radius)


def _bend(tree: Tree, rng: np.random.Generator) -> Tree:
    """The same tree with long branches as gentle arcs of short pieces."""
    length = np.linalg.norm(tree.end - tree.start, axis=1)
    sag = rng.normal(0, 0.10, tree.start.shape) * length[:, None]
    pieces = np.clip(np.round(length / 6.0), 1, 4).astype(int)
    parts = []
    for count in range(1, 5):
        few = pieces == count
        t = np.linspace(0, 1, count + 1)[:, None, None]
        nodes = tree.start[few] + t * (tree.end - tree.start)[few] + 4 * t * (1 - t) * sag[few]
        r = tree.start_radius[few] + t[..., 0] * (tree.end_radius - tree.start_radius)[few]
        rows = np.concatenate([nodes[:-1], nodes[1:], r[:-1, :, None], r[1:, :, None]], axis=2)
        parts.append(rows.reshape(-1, 8))
    rows = np.concatenate(parts)
    return Tree(rows[:, :3], rows[:, 3:6], rows[:, 6], rows[:, 7])


def _fissure_heights(x: Any, y: Any) -> tuple[Any, Any]:
    """Heights of the oblique and (right only) horizontal fissure over x, y."""
    side = np.where(x > 0, 8.0, 0.0)
    oblique = 150.0 + side + 1.22 * y + 7.0 * np.sin(x / 24.0) + 4.0 * np.cos(y / 23.0)
    horizontal = (
        160.0 - 0.10 * (np.abs(x) - 60.0) + 0.12 * (y + 60) + 5.0 * np.sin(y / 19.0 + x / 25)
    )
    return oblique, horizontal


LOBE_ROOTS: tuple[tuple[Row, Row], ...] = (
    ((-44, -32, 178), (-44, -44, 166)),  # right upper: artery, vein
    ((-46, -30, 156), (-44, -44, 162)),  # middle
    ((-44, -18, 148), (-40, -4, 130)),  # right lower
    ((46, -24, 180), (48, -46, 168)),  # left upper
    ((44, -10, 162), (48, -2, 130)),  # left lower
)


def _lobe(points: Points) -> npt.NDArray[np.int64]:
    """Index into `LOBE_ROOTS` of each (n, 3) point."""
    x, y, z = points.T
    oblique, horizontal = _fissure_heights(x, y)
    lower = z < oblique
    right = np.where(lower, 2, np.where(z < horizontal, 1, 0))
    return np.where(x < 0, right, np.where(lower, 4, 3))


def _lobe_trees(
    inside: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[list[Tree], list[Tree]]:
    """Blood vessels and airways for all lobes; `inside` is a lattice of well-within-lung."""
    cells = np.argwhere(inside)
    vessels: list[Tree] = []
    airways: list[Tree] = []
    for vein in (0, 1):
        chosen = cells[rng.choice(len(cells), 4200 if vein == 0 else 3400, replace=False)]
        points = _lattice_mm(chosen + rng.uniform(-0.5, 0.5, chosen.shape))
        lobes = _lobe(points)
        for lobe, roots in enumerate(LOBE_ROOTS):
            mine = points[lobes == lobe]
            if len(mine) < 2:
                continue
            tree = _grow(roots[vein], mine, 0.46, rng)
            vessels.append(_bend(tree, rng))
            if vein == 0:
                airways.append(_beside(tree))
    return vessels, airways


def _beside(artery: Tree) -> Tree:
    """The airways that run along an artery, down to about 1 mm."""
    thick = artery.end_radius > 1.25
    gap = (artery.start_radius * 1.9)[:, None], (artery.end_radius * 1.9)[:, None]
    away = np.array([-0.75, 0.45, 0.3]) * np.sign(artery.start[:1, :1] * (1, 0, 0) + (0, 1, 1))
    away = np.where(away == 0, 0.3, away)
    return Tree(
        (artery.start + gap[0] * away)[thick],
        (artery.end + gap[1] * away)[thick],
        artery.start_radius[thick] * 0.85,
        artery.end_radius[thick] * 0.85,
    )


# ---------------------------------------------------------------- lattice fields


def _lattice_mm(cells: npt.NDArray[Any]) -> Points:
    """x, y, z in mm of (n, 3) lattice indices (slice, row, column)."""
    frame = Frame((LATTICE[2], LATTICE[1], LATTICE[0]))
    z = (cells[:, 0] + 0.5) * frame.spacing_mm[2]
    y = (cells[:, 1] - frame.rows(0.0, z)) * frame.spacing_mm[1]
    x = (cells[:, 2] + 0.5) * frame.spacing_mm[0] - EXTENT_MM[0] / 2
    return np.stack([x, y, z], axis=1)


def _noise(rng: np.random.Generator, sigma: float) -> FloatImage:
    """Smooth noise on the lattice, mean 0, standard deviation 1, `sigma` in cells (3 mm)."""
    white = rng.standard_normal(LATTICE, dtype=np.float32)
    smooth = ndimage.gaussian_filter(white, sigma, mode="wrap", truncate=2.5)
    result: FloatImage = smooth / smooth.std()
    return result


def _to_lattice(canvas: Canvas) -> FloatImage:
    """Lung coverage (0 to 1) on the lattice."""
    small = np.stack(
        [cv2.resize(s, LATTICE[:0:-1], interpolation=cv2.INTER_AREA) for s in canvas.lung]
    ).astype(np.float32)
    index = (np.arange(LATTICE[0]) + 0.5) * len(small) / LATTICE[0] - 0.5
    index = np.clip(index, 0, len(small) - 1)
    low = np.floor(index).astype(int)
    high = np.minimum(low + 1, len(small) - 1)
    part = (index - low).astype(np.float32)[:, None, None]
    mixed: FloatImage = (small[low] * (1 - part) + small[high] * part) / np.float32(255)
    return mixed


def _slice_of(field: FloatImage, frame: Frame, k: int) -> FloatImage:
    """One slice of a lattice field at full resolution."""
    at = float(np.clip(frame.z_mm[k] / EXTENT_MM[2] * LATTICE[0] - 0.5, 0, LATTICE[0] - 1))
    low = int(at)
    high = min(low + 1, LATTICE[0] - 1)
    part = np.float32(at - low)
    mixed = field[low] * (1 - part) + field[high] * part
    resized: FloatImage = cv2.resize(mixed, frame.shape[:2], interpolation=cv2.INTER_CUBIC)
    return resized


@dataclass(frozen=True, eq=False)
class Disease:
    """Lattice fields: how far inside a lesion (above 0) and how solid (0 to 1) each place is.

    `extent` is `score` without its finest detail: a reader outlines a lesion, not its speckles.
    """

    score: FloatImage
    extent: FloatImage
    solid: FloatImage
    ripple: FloatImage


def _spread_disease(lung: FloatImage, rng: np.random.Generator) -> Disease:
    """Patches under the pleura, mostly at the back and base, with ragged edges."""
    inside = lung > 0.5
    depth = ndimage.distance_transform_edt(inside, sampling=3.0).astype(np.float32)
    cells = np.argwhere(inside)
    points = _lattice_mm(cells)
    weight = np.exp(-depth[inside] / 14.0) * np.clip((points[:, 1] + 60) / 90.0, 0.06, 1.2) ** 1.5
    weight *= (points[:, 2] > 45) & (points[:, 2] < 225)
    weight *= np.clip((np.abs(points[:, 0]) - 30.0) / 35.0, 0.08, 1.0)
    weight /= weight.sum()
    patches = np.zeros(LATTICE, dtype=np.float32)
    seeds = cells[rng.choice(len(cells), 22, replace=False, p=weight)]
    k, j, i = np.ogrid[: LATTICE[0], : LATTICE[1], : LATTICE[2]]
    for seed in seeds:
        size = rng.uniform(3.0, 9.5, 3) * (1.0, 0.9, 1.0)
        far = ((k - seed[0]) / size[0]) ** 2 + ((j - seed[1]) / size[1]) ** 2
        patches = np.maximum(patches, np.exp(-0.5 * (far + ((i - seed[2]) / size[2]) ** 2)))
    ragged = 0.7 * _noise(rng, 3.2) + 0.7 * _noise(rng, 1.5) + 0.35 * _noise(rng, 0.7)
    score = patches + 0.12 * ragged + 0.2 * np.exp(-depth / 10.0)
    score[patches < 0.12] -= 0.6
    level = float(np.quantile(score[inside], 1 - INFECTED_FRACTION))
    solid = np.clip((score - level - 0.25) / 0.3 + 0.3 * _noise(rng, 2.2), 0.0, 1.0)
    score = (score - level).astype(np.float32)
    extent = ndimage.gaussian_filter(score, 0.8)
    return Disease(score, extent, solid.astype(np.float32), _noise(rng, 0.8))


def _paint_parenchyma(
    canvas: Canvas, lung: FloatImage, disease: Disease, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Gravity, texture and fissures of healthy lung, and the disease; returns where it is."""
    frame = canvas.frame
    coarse, fine = _noise(rng, 5.0), _noise(rng, 0.9)
    infected = np.zeros(canvas.lung.shape, dtype=bool)
    for k, z in frame.slices(0, LUNG_TOP_MM + 5):
        share = canvas.lung[k]
        if not share.any():
            continue
        rows, columns = np.flatnonzero(share.any(axis=1)), np.flatnonzero(share.any(axis=0))
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        x, y = frame.grid(z)
        x, y = x[:, box[1]], y[box[0]]
        texture = 11 * _slice_of(coarse, frame, k)[box] + 9 * _slice_of(fine, frame, k)[box]
        healthy = -868.0 + 0.42 * np.clip(y + 60, -60, 110) + texture
        oblique, horizontal = _fissure_heights(x, y)
        healthy += 110.0 * np.exp(-(((z - oblique) / 1.9) ** 2))
        healthy += 45.0 * np.exp(-(((z - horizontal) / 3.0) ** 2)) * ((x < 0) & (z > oblique))
        solid = np.clip(_slice_of(disease.solid, frame, k)[box], 0, 1)
        ripple = _slice_of(disease.ripple, frame, k)[box]
        grain = rng.standard_normal(share[box].shape, dtype=np.float32)
        grain = cv2.GaussianBlur(grain, (0, 0), 1.1 / frame.spacing_mm[0])
        grain *= 3.5 * 1.1 / frame.spacing_mm[0]
        septa = np.exp(-((ripple / 0.3) ** 2))
        score = _slice_of(disease.score, frame, k)[box]
        amount = np.clip((score + 0.05 * (grain - ripple)) / 0.14 + 0.5, 0, 1)
        solid = np.clip(solid + 0.12 * grain * (solid > 0), 0, 1)
        sick = -640.0 + 130.0 * septa + 75.0 * grain + solid * (640.0 - 90.0 * septa)
        hu = healthy + amount * (sick - healthy) + 8.0 * grain
        part = share[box].astype(np.float32) * np.float32(1 / 255)
        canvas.hu[k][box] += part * (hu - LUNG)
        infected[k][box] = (_slice_of(disease.extent, frame, k)[box] > -0.01) & (share[box] > 127)
    return infected


def _paint_trees(canvas: Canvas, lung: FloatImage, rng: np.random.Generator) -> None:
    """Vessels and airways inside the lungs; the small ones stay part of the lung mask."""
    depth = ndimage.distance_transform_edt(lung > 0.5, sampling=3.0)
    vessels, airways = _lobe_trees(depth > 3.5, rng)
    alpha = np.zeros(canvas.lung.shape, dtype=np.uint8)
    for trees, grow, hu in (
        (airways, 0.6, -150.0),
        (airways, 0.0, AIR + 25),
        (vessels, 0.0, BLOOD),
    ):
        alpha[:] = 0
        for tree in trees:
            _draw_tubes(alpha, canvas.frame, tree, grow)
        for k in range(len(alpha)):
            rows, columns = (np.flatnonzero(alpha[k].any(axis=axis)) for axis in (1, 0))
            if len(rows):
                box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
                weight = _product(alpha[k][box], canvas.lung[k][box])
                patch = canvas.hu[k][box]
                patch += weight.astype(np.float32) * np.float32(1 / 255) * (hu - patch)


# ---------------------------------------------------------------- scanner


def _paint_table(canvas: Canvas) -> None:
    """The couch: two curved shells."""
    x = np.linspace(-215, 215, 60)
    for k, z in canvas.frame.slices(0, EXTENT_MM[2]):
        lean = float(canvas.frame.rows(0, 0) - canvas.frame.rows(0, z)) * canvas.frame.spacing_mm[1]
        for depth, thickness, hu in ((110.0, 1.6, -250.0), (136.0, 1.8, -150.0)):
            y = depth - (x / 215.0) ** 2 * 34.0 + lean
            line = np.stack([x, y], axis=1)
            canvas.fill(k, _stroke(line, np.full(len(x), thickness)), hu)


def _tissue_texture(canvas: Canvas, rng: np.random.Generator) -> None:
    """Nothing is uniform: slow variation, septa through fat, grain in spongy bone."""
    slow, strands = _noise(rng, 2.5), _noise(rng, 0.9)
    for k in range(len(canvas.hu)):
        image = canvas.hu[k]
        grain = _slice_of(strands, canvas.frame, k)
        soft = np.clip((image + 130) / 40, 0, 1) * np.clip((400 - image) / 200, 0, 1)
        image += soft * (4 * _slice_of(slow, canvas.frame, k) + 5 * grain)
        fat = np.clip((image + 150) / 30, 0, 1) * np.clip((-60 - image) / 30, 0, 1)
        image += fat * (38 * np.exp(-((grain / 0.16) ** 2)) - 4)
        bone = np.clip((image - 120) / 60, 0, 1) * np.clip((450 - image) / 60, 0, 1)
        image += 45 * bone * grain


def _scan(canvas: Canvas, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """What a scanner makes of it: blur by slice and kernel, correlated noise, 12 bits."""
    hu = canvas.hu
    frame = canvas.frame
    ndimage.gaussian_filter1d(hu, 0.45 * 3.0 / frame.spacing_mm[2], axis=0, output=hu, truncate=2.5)
    result = np.empty(hu.shape, dtype=np.int16)
    for k, z in frame.slices(0, EXTENT_MM[2]):
        image = cv2.GaussianBlur(hu[k], (0, 0), 0.45 / frame.spacing_mm[0])
        white = rng.standard_normal(image.shape, dtype=np.float32)
        grain = cv2.GaussianBlur(white, (0, 0), 0.75) - 0.75 * cv2.GaussianBlur(white, (0, 0), 2.2)
        streak = cv2.GaussianBlur(white, (0, 0), 9.0, sigmaY=0.8)
        dense = cv2.blur(np.clip(image, -1000, 300), (101, 101)) / 1000 + 1
        sigma = 11.0 + 13.0 * np.clip(dense, 0, 1.1)
        image += sigma * (grain / 0.29 + (0.9 if z > 235 else 0.25) * streak / 0.13)
        result[k] = np.clip(np.rint(image), -1024, 3071).astype(np.int16)
    return result


# ---------------------------------------------------------------- the study

_STAGES: tuple[tuple[str, Callable[[Canvas], None]], ...] = (
    ("drawing the body", _paint_body),
    ("drawing muscles", _paint_trunk_muscles),
    ("drawing muscles", _paint_back_muscles),
    ("drawing muscles", _paint_pectorals),
    ("drawing muscles", _paint_girdle),
    ("drawing bones", _paint_scapulae),
    ("drawing the lungs", _paint_lungs),
    ("drawing bones", _paint_ribs),
    ("drawing bones", _paint_sternum),
    ("drawing bones", _paint_shoulder_bones),
    ("drawing the mediastinum", _paint_mediastinum),
    ("drawing the mediastinum", _paint_heart_fat),
    ("drawing the abdomen", _paint_abdomen),
    ("drawing bones", _paint_spine),
    ("drawing the table", _paint_table),
)


def build_demo_study(
    *,
    seed: int = 20,
    shape: tuple[int, int, int] = (512, 512, 96),
    on_progress: OnProgress = ignore_progress,
) -> Study:
    """A synthetic chest CT with COVID-like disease and its true masks.

    Args:
        seed: same seed and shape, same voxels; other seeds move vessels, disease and noise.
        shape: voxels along left, posterior and superior; the extent in mm stays the same.

    Returns:
        A study marked synthetic: int16 HU in [-1024, 3071], canonical axes, Fortran order.
    """
    frame = Frame(shape)
    canvas = Canvas(frame)
    total = len(_STAGES) + 4
    for done, (stage, paint) in enumerate(_STAGES):
        on_progress(stage, done, total)
        paint(canvas)
    tissue, disease_rng, tree_rng, lung_rng, noise_rng = (
        np.random.default_rng([seed, stream]) for stream in range(5)
    )
    on_progress("texturing tissue", total - 4, total)
    _tissue_texture(canvas, tissue)
    on_progress("filling the lungs", total - 3, total)
    lung = _to_lattice(canvas)
    infected = _paint_parenchyma(canvas, lung, _spread_disease(lung, disease_rng), lung_rng)
    on_progress("growing vessels", total - 2, total)
    _paint_trees(canvas, lung, tree_rng)
    on_progress("scanning", total - 1, total)
    hu = _scan(canvas, noise_rng)
    lung_mask = canvas.lung > 127
    on_progress("scanning", total, total)
    return _as_study(frame, hu, lung_mask, infected)


def _as_study(
    frame: Frame,
    hu: npt.NDArray[np.int16],
    lung: npt.NDArray[np.bool_],
    infected: npt.NDArray[np.bool_],
) -> Study:
    """Arrays (slices, rows, columns) as a canonical study."""
    sx, sy, sz = frame.spacing_mm
    affine = np.diag([-sx, -sy, sz, 1.0])
    affine[:3, 3] = ((EXTENT_MM[0] - sx) / 2, (EXTENT_MM[1] - sy) / 2, sz / 2)
    volume = volume_from_file(
        hu.T,
        affine,
        intensity=Intensity("HU", "generated in HU"),
        name="Synthetic demo study",
        format="generated",
        facts=(
            ("Origin", "generated by this program: synthetic, not a patient"),
            ("Size", " × ".join(str(n) for n in frame.shape)),
            ("Spacing", f"{sx:.2f} × {sy:.2f} × {sz:.2f} mm"),
            ("Truth", "lung and infection masks known exactly"),
        ),
    )
    for mask in (lung, infected):
        mask.flags.writeable = False
    return Study(volume, MaskPair(lung.T, infected.T), case_id="demo", synthetic=True)
