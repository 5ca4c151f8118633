"""The heart, the great vessels and the trunks that lead to the lungs."""

from __future__ import annotations

from core.phantom.canvas import Canvas
from core.phantom.curves import Outlines, outline_at
from core.phantom.tissue import BLOOD, FAT
from core.phantom.tubes import Chain, UprightTube, paint_chain, paint_upright

HEART: Outlines = {
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
"""Both ventricles and the muscle round them."""

ATRIA: tuple[UprightTube, ...] = (
    {92: (-14, -46, 14, 18), 112: (-20, -52, 18, 24), 135: (-20, -56, 18, 25),
     152: (-22, -56, 12, 17)},
    {124: (8, -24, 22, 8), 135: (7, -24, 30, 13), 150: (5, -24, 31, 12), 166: (4, -26, 20, 7)},
)  # fmt: skip

GREAT_VESSELS: tuple[UprightTube, ...] = (
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

AORTIC_ARCH: Chain = (
    (-3, -58, 206, 15), (2, -50, 214, 14), (12, -32, 219, 13.5), (22, -12, 216, 13.5),
    (27, 0, 206, 13.5),
)  # fmt: skip

LUNG_TRUNKS: tuple[Chain, ...] = (
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

HEART_GROOVES: tuple[Chain, ...] = (
    ((2, -84, 150, 4), (-6, -88, 135, 5), (-4, -90, 115, 5), (0, -84, 98, 4)),
    ((34, -86, 152, 3), (44, -94, 130, 3.5), (58, -94, 112, 3.5), (62, -86, 96, 3)),
    ((46, -34, 150, 4), (62, -22, 132, 4), (54, -20, 115, 4)),
)  # fmt: skip


def paint_heart(canvas: Canvas) -> None:
    """The heart and its vessels, up to the hila."""
    for table in GREAT_VESSELS:  # a thin plane of fat keeps neighbours apart
        paint_upright(canvas, table, FAT + 30, grow_mm=1.0)
    for k, z in canvas.frame.slices(min(HEART), max(HEART)):
        canvas.fill(k, outline_at(HEART, z), BLOOD + 3)
    for table in ATRIA:
        paint_upright(canvas, table, BLOOD - 1)
    for table in GREAT_VESSELS:
        paint_upright(canvas, table, BLOOD)
    for chain in (AORTIC_ARCH, *LUNG_TRUNKS):
        paint_chain(canvas, chain, BLOOD)


def paint_heart_fat(canvas: Canvas) -> None:
    """Coronary grooves: fat with a small vessel in it."""
    for groove in HEART_GROOVES:
        paint_chain(canvas, groove, FAT + 15)
        paint_chain(canvas, [(*node[:3], 1.4) for node in groove], BLOOD)
