"""Vessels and airways inside the lungs: trees grown towards random points of each lobe."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.phantom.canvas import Canvas, box_around, multiply_shares
from core.phantom.curves import Row
from core.phantom.frame import FloatImage, Points
from core.phantom.lattice import lattice_mm
from core.phantom.lobes import (
    LEFT_LOWER,
    LEFT_UPPER,
    RIGHT_LOWER,
    RIGHT_MIDDLE,
    RIGHT_UPPER,
    lobe_of,
)
from core.phantom.tissue import AIR, BLOOD
from core.phantom.tubes import Tubes, draw_tubes

LOBE_ROOTS: dict[int, tuple[Row, Row]] = {
    RIGHT_UPPER: ((-44, -32, 178), (-44, -44, 166)),
    RIGHT_MIDDLE: ((-46, -30, 156), (-44, -44, 162)),
    RIGHT_LOWER: ((-44, -18, 148), (-40, -4, 130)),
    LEFT_UPPER: ((46, -24, 180), (48, -46, 168)),
    LEFT_LOWER: ((44, -10, 162), (48, -2, 130)),
}
"""x, y, z where the artery and the vein of each lobe begin."""

_TIP_MM = 0.46


def paint_trees(canvas: Canvas, depth_mm: FloatImage, rng: np.random.Generator) -> None:
    """Vessels and airways inside the lungs; the small ones stay part of the lung mask."""
    vessels, airways = _lobe_trees(depth_mm > 3.5, rng)
    alpha = np.zeros(canvas.lung.shape, dtype=np.uint8)
    for trees, grow_mm, hu in (
        (airways, 0.6, -150.0),
        (airways, 0.0, AIR + 25),
        (vessels, 0.0, BLOOD),
    ):
        alpha[:] = 0
        for tree in trees:
            draw_tubes(alpha, canvas.frame, tree, grow_mm=grow_mm)
        for k, drawn in enumerate(alpha):
            box = box_around(drawn)
            if box is not None:
                canvas.mix(k, box, multiply_shares(drawn[box], canvas.lung[k][box]), hu)


def _lobe_trees(
    inside: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[list[Tubes], list[Tubes]]:
    """Blood vessels and airways for all lobes; `inside` is a lattice of well-within-lung."""
    cells = np.argwhere(inside)
    vessels: list[Tubes] = []
    airways: list[Tubes] = []
    for kind, tips in (("artery", 4200), ("vein", 3400)):
        chosen = cells[rng.choice(len(cells), tips, replace=False)]
        points = lattice_mm(chosen + rng.uniform(-0.5, 0.5, chosen.shape))
        lobes = lobe_of(points)
        for lobe, (artery_root, vein_root) in LOBE_ROOTS.items():
            targets = points[lobes == lobe]
            if len(targets) < 2:
                continue
            tree = _grow(artery_root if kind == "artery" else vein_root, targets, rng)
            vessels.append(_bend(tree, rng))
            if kind == "artery":
                airways.append(_beside(tree))
    return vessels, airways


def _grow(root: Row, targets: Points, rng: np.random.Generator) -> Tubes:
    """A tree from `root` that reaches every target, by halving the targets at each fork.

    Radii follow Murray's law, near enough, in the number of tips that a branch feeds.
    """
    starts, ends, tips, parent_tips = [], [], [], []
    stack = [(np.array(root), np.arange(len(targets)), len(targets))]
    while stack:
        start, fed, parent_count = stack.pop()
        cloud = targets[fed]
        count = len(fed)
        end = cloud[0] if count == 1 else _fork(start, cloud, rng)
        starts.append(start)
        ends.append(end)
        tips.append(count)
        parent_tips.append(parent_count)
        if count > 1:
            spread = cloud - cloud.mean(axis=0)
            widest = np.linalg.eigh(spread.T @ spread)[1][:, -1]
            order = np.argsort(spread @ widest)
            cut = int(np.clip(round(count * rng.uniform(0.3, 0.7)), 1, count - 1))
            stack.append((end, fed[order[:cut]], count))
            stack.append((end, fed[order[cut:]], count))
    radius = _TIP_MM * np.array(tips) ** 0.37
    start_radius = np.minimum(_TIP_MM * np.array(parent_tips) ** 0.37, radius * 1.25)
    end_radius = np.where(np.array(tips) == 1, 0.8 * radius, radius)
    return Tubes(np.array(starts), np.array(ends), start_radius, end_radius)


def _fork(start: Points, cloud: Points, rng: np.random.Generator) -> Points:
    """Where a branch towards a cloud of targets divides."""
    goal = cloud.mean(axis=0) - start
    # Large branches fork soon after the hilum, small ones reach into their territory.
    straight = start + goal * (0.30 + 0.40 / (1.0 + len(cloud) / 60.0)) * rng.uniform(0.8, 1.2)
    end: Points = straight + rng.normal(0, 0.09, 3) * np.linalg.norm(goal)
    return end


def _bend(tree: Tubes, rng: np.random.Generator) -> Tubes:
    """The same tree with long branches as gentle arcs of short pieces."""
    along = tree.end - tree.start
    taper = tree.end_radius - tree.start_radius
    length = np.linalg.norm(along, axis=1)
    sag = rng.normal(0, 0.10, along.shape) * length[:, None]
    pieces = np.clip(np.round(length / 6.0), 1, 4).astype(int)
    parts = []
    for count in range(1, 5):
        few = pieces == count
        t = np.linspace(0, 1, count + 1)[:, None, None]
        nodes = tree.start[few] + t * along[few] + 4 * t * (1 - t) * sag[few]
        radii = tree.start_radius[few] + t[..., 0] * taper[few]
        rows = np.concatenate(
            [nodes[:-1], nodes[1:], radii[:-1, :, None], radii[1:, :, None]], axis=2
        )
        parts.append(rows.reshape(-1, 8))
    rows = np.concatenate(parts)
    return Tubes(rows[:, :3], rows[:, 3:6], rows[:, 6], rows[:, 7])


def _beside(artery: Tubes) -> Tubes:
    """The airways that run along an artery, down to about 1 mm."""
    thick = artery.end_radius > 1.25
    outwards = np.sign(artery.start[0, 0])
    away = np.array([-0.75 * outwards, 0.45, 0.3])
    return Tubes(
        (artery.start + (artery.start_radius * 1.9)[:, None] * away)[thick],
        (artery.end + (artery.end_radius * 1.9)[:, None] * away)[thick],
        artery.start_radius[thick] * 0.85,
        artery.end_radius[thick] * 0.85,
    )
