"""Surfaces as binary STL and PLY, in millimetres of the patient, LPS.

LPS (x to the patient's left, y to the back, z to the head) is the frame of DICOM, and the one in
which 3D Slicer, ITK-SNAP and MITK take meshes that do not say otherwise. Both files say it all the
same, in the words that 3D Slicer looks for: `SPACE=LPS`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.drawing import Surface

_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0], dtype=np.float32)
_STL_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_PLY_FACE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
_STL_HEADER_BYTES = 80


def stl_bytes(surface: Surface, *, name: str, nominal: bool = False, note: str = "") -> bytes:
    """A mesh as binary STL: LPS mm, facets counter-clockwise seen from outside.

    Args:
        name: what it is a surface of, ASCII, such as "lung".
        nominal: the millimetres are nominal, which the header then says.
        note: more of it, ASCII and short, such as "corrected by hand".
    """
    header = f"{_comment(name, nominal, note)}; SPACE=LPS".encode("ascii")
    assert len(header) <= _STL_HEADER_BYTES
    corners = (surface.vertices_mm * _RAS_TO_LPS)[surface.faces]
    facets = np.zeros(len(corners), dtype=_STL_FACET)
    facets["corners"] = corners
    facets["normal"] = _unit_normals(corners)
    count = np.uint32(len(facets)).astype("<u4").tobytes()
    return b"".join((header.ljust(_STL_HEADER_BYTES), count, facets.tobytes()))


def ply_bytes(surface: Surface, *, name: str, nominal: bool = False, note: str = "") -> bytes:
    """A mesh as binary little-endian PLY; arguments as in `stl_bytes`."""
    faces = np.empty(len(surface.faces), dtype=_PLY_FACE)
    faces["count"] = 3
    faces["corners"] = surface.faces
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"comment {_comment(name, nominal, note)}\ncomment SPACE=LPS\n"
        f"element vertex {len(surface.vertices_mm)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    points = (surface.vertices_mm * _RAS_TO_LPS).astype("<f4")
    return header.encode("ascii") + points.tobytes() + faces.tobytes()


def _comment(name: str, nominal: bool, note: str) -> str:
    # A binary STL must not begin with the word "solid", which marks the text form.
    size = "NOMINAL mm, true size not known" if nominal else "mm"
    return f"LungLens {name}, {note + ', ' if note else ''}{size}"


def _unit_normals(corners: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(m, 3) at right angles to facets (m, 3, 3); zero where a facet has no area."""
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(across, axis=1, keepdims=True)
    normals: npt.NDArray[np.float32] = np.divide(
        across, length, out=np.zeros_like(across), where=length > 0
    )
    return normals
