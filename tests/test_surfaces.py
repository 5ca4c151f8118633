"""Meshes around masks of known size and place, under any affine."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from core.config import SurfaceConfig
from core.drawing.overlays import PREDICTION_COLOURS
from core.drawing.surfaces import Surface, build_surface, slice_corners_mm
from core.errors import ConfigError, GeometryError
from core.ui.charts.surface import make_surface_figure
from core.volume import MaskPair, Study, spacing_mm
from tests.app_session import session_of
from tests.spheres import AFFINES, affine_of, ball, turned
from tests.studies import small_study, small_truth
from tests.test_pages import opened, page, ran_well, texts

CONFIG = SurfaceConfig()
SHAPE = (70, 76, 34)
"""Room for a ball of 36 mm radius under every affine of `AFFINES`."""


def signed_volume_mm3(surface: Surface) -> float:
    """By the divergence theorem: positive where faces look outward."""
    a, b, c = np.moveaxis(surface.vertices_mm[surface.faces].astype(np.float64), 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def centroid_mm(surface: Surface) -> np.ndarray:
    """Of the solid, not of its vertices."""
    a, b, c = np.moveaxis(surface.vertices_mm[surface.faces].astype(np.float64), 1, 0)
    volumes = np.einsum("ij,ij->i", a, np.cross(b, c))
    return ((a + b + c) * volumes[:, None]).sum(axis=0) / (4 * volumes.sum())


def assert_closed(surface: Surface) -> None:
    """Every edge is walked once in each direction: no hole, and one side throughout."""
    faces = surface.faces
    assert faces.min() == 0
    assert faces.max() == len(surface.vertices_mm) - 1
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there, times = np.unique(edges, axis=0, return_counts=True)
    back = np.unique(edges[:, ::-1], axis=0)
    np.testing.assert_array_equal(there, back)
    assert times.max() == 1


def center_of(shape, affine):
    return affine[:3, :3] @ ((np.array(shape) - 1) / 2) + affine[:3, 3]


def solid(shape: tuple[int, int, int]) -> np.ndarray:
    return np.ones(shape, dtype=bool, order="F")


@pytest.mark.parametrize("channel", ["lung", "infection"])
@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_a_ball_keeps_volume_place_and_roundness(affine, channel):
    shape = (70, 34, 76) if spacing_mm(affine)[1] == 3.0 else SHAPE
    center = center_of(shape, affine) + np.array([0.9, -1.7, 2.1])
    mask = ball(shape, affine, radius_mm=36.0, center_mm=center)
    surface = build_surface(mask, affine, CONFIG, channel=channel)
    assert_closed(surface)
    assert signed_volume_mm3(surface) == pytest.approx(4 / 3 * np.pi * 36**3, rel=0.03)
    offset = np.linalg.inv(affine[:3, :3]) @ (centroid_mm(surface) - center)
    assert np.abs(offset).max() < 0.2  # voxels
    radii = np.linalg.norm(surface.vertices_mm - center, axis=1)
    assert radii.min() > 36 - 2.0
    assert radii.max() < 36 + 2.0
    outward = np.einsum("ij,ij->i", normals(surface), face_centers(surface) - center)
    assert (outward > 0).mean() > 0.999


def face_centers(surface: Surface) -> np.ndarray:
    return surface.vertices_mm[surface.faces].mean(axis=1)


def normals(surface: Surface) -> np.ndarray:
    a, b, c = np.moveaxis(surface.vertices_mm[surface.faces], 1, 0)
    return np.cross(b - a, c - a)


@pytest.mark.parametrize("degrees", [0, 35])
def test_an_ellipsoid_keeps_its_axes(degrees):
    affine = affine_of(turned(degrees) @ np.diag([-0.8, -0.8, 2.5]))
    radii_mm = np.array([24.0, 15.0, 40.0])
    shape = (66, 44, 38)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    along = (index - (np.array(shape) - 1) / 2) * spacing_mm(affine)
    mask = ((along / radii_mm) ** 2).sum(axis=-1) <= 1
    surface = build_surface(mask, affine, CONFIG, channel="infection")
    assert_closed(surface)
    assert signed_volume_mm3(surface) == pytest.approx(4 / 3 * np.pi * radii_mm.prod(), rel=0.03)
    own = (surface.vertices_mm - center_of(shape, affine)) @ turned(degrees)
    np.testing.assert_allclose(own.max(axis=0), radii_mm, atol=1.3)
    np.testing.assert_allclose(own.min(axis=0), -radii_mm, atol=1.3)


@pytest.mark.parametrize("shape", [(40, 50, 30), (41, 53, 31), (47, 9, 13)])
def test_a_mask_that_fills_the_scan_closes_at_its_outer_faces(shape):
    affine = affine_of(np.diag([-0.7, -0.7, 1.0]))
    surface = build_surface(solid(shape), affine, CONFIG, channel="lung")
    assert_closed(surface)
    index = (surface.vertices_mm - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    # Odd sizes end in half-filled blocks, which may shift a face by part of a cell.
    cell = np.maximum(np.rint(3.0 / np.array(spacing_mm(affine))), 1)
    assert (np.abs(index.min(axis=0) + 0.5) < 0.1 * cell).all()
    assert (np.abs(index.max(axis=0) - np.array(shape) + 0.5) < 0.35 * cell).all()


@pytest.mark.parametrize("spacing", [0.5, 1.0, 8.0])
def test_a_single_slice_is_a_plate_as_thick_as_its_voxels(spacing):
    affine = affine_of(np.diag([-1.0, -1.0, spacing]))
    mask = ball((101, 101, 1), affine, radius_mm=40.0)
    surface = build_surface(mask, affine, CONFIG, channel="lung")
    assert_closed(surface)
    assert np.ptp(surface.vertices_mm[:, 2]) == pytest.approx(spacing, rel=0.02)
    # Its rim is bevelled over the width of a cell.
    assert signed_volume_mm3(surface) == pytest.approx(np.pi * 38.5**2 * spacing, rel=0.05)


def test_an_empty_mask_has_no_surface():
    assert build_surface(~solid((5, 6, 7)), np.eye(4), CONFIG, channel="lung") is None


def test_lesions_of_a_few_voxels_stay_beside_large_ones():
    affine = affine_of(np.diag([-0.7, -0.7, 1.0]))
    mask = ball((200, 200, 60), affine, radius_mm=20.0)
    small = [(10, 10, 5), (180, 20, 50), (30, 170, 30)]
    for number, (i, j, k) in enumerate(small):
        mask[i : i + 1 + number, j : j + 1 + number, k] = True  # 1, 4 and 9 voxels
    surface = build_surface(mask, affine, CONFIG, channel="infection")
    assert_closed(surface)
    for number, first in enumerate(small):
        middle = affine[:3, :3] @ np.add(first, (number / 2, number / 2, 0)) + affine[:3, 3]
        near = np.linalg.norm(surface.vertices_mm - middle, axis=1) < 4.0
        assert near.any()
        np.testing.assert_allclose(surface.vertices_mm[near].mean(axis=0), middle, atol=1.3)


def test_scattered_voxels_make_closed_surfaces_whose_faces_look_outward():
    mask = np.random.default_rng(3).random((30, 28, 26)) > 0.7
    surface = build_surface(mask, np.diag([-2.0, 2.0, 2.0, 1.0]), CONFIG, channel="infection")
    assert_closed(surface)
    assert signed_volume_mm3(surface) > 0


def test_too_many_triangles_are_answered_by_larger_cells():
    affine = affine_of(np.diag([-1.0, -1.0, 1.0]))
    mask = ball((100, 100, 100), affine, radius_mm=45.0)
    full = build_surface(mask, affine, CONFIG, channel="infection")
    few = build_surface(mask, affine, SurfaceConfig(max_triangles=1000), channel="infection")
    assert len(few.faces) <= 1000 < len(full.faces)
    assert_closed(few)
    assert signed_volume_mm3(few) == pytest.approx(4 / 3 * np.pi * 45**3, rel=0.12)


def test_the_mask_is_left_as_it_was():
    mask = ball((40, 40, 20), np.eye(4), radius_mm=8.0)
    before = mask.copy()
    build_surface(mask, np.eye(4), CONFIG, channel="lung")
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize(
    ("mask", "affine"), [(np.ones((3, 3), bool), np.eye(4)), (solid((3, 3, 3)), np.zeros((4, 4)))]
)
def test_what_is_no_volume_in_space_is_refused(mask, affine):
    with pytest.raises(GeometryError):
        build_surface(mask, affine, CONFIG, channel="lung")


@pytest.mark.parametrize(
    "wrong", [{"lung_cell_mm": 0.0}, {"smoothing": -1.0}, {"max_triangles": 10}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        SurfaceConfig(**wrong)


# ---------------------------------------------------------------- the slice


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize(("plane", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_the_slice_is_a_parallelogram_through_its_voxels(affine, plane, axis):
    shape = (20, 30, 40)
    points = np.array([[4, 5, 6], [12, 16, 18]]) @ affine[:3, :3].T + affine[:3, 3]
    corners = slice_corners_mm(
        shape, affine, plane=plane, slice_index=7, around_mm=points, margin_mm=3.0
    )
    np.testing.assert_allclose(corners[0] + corners[2], corners[1] + corners[3], atol=1e-3)
    index = (corners - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    np.testing.assert_allclose(index[:, axis], 7, atol=1e-4)
    margin = 3.0 / np.array(spacing_mm(affine))
    for other in {0, 1, 2} - {axis}:
        first, last = (4, 5, 6)[other], (12, 16, 18)[other]
        np.testing.assert_allclose(index[:, other].min(), first - margin[other], atol=1e-4)
        np.testing.assert_allclose(index[:, other].max(), last + margin[other], atol=1e-4)


def test_the_slice_ends_where_the_scan_ends():
    points = np.array([[0.0, 0, 0], [9, 9, 9]])
    corners = slice_corners_mm(
        (10, 10, 10), np.eye(4), plane="axial", slice_index=2, around_mm=points, margin_mm=50.0
    )
    assert corners[:, :2].min() == -0.5
    assert corners[:, :2].max() == 9.5


# ---------------------------------------------------------------- the figure


@pytest.fixture(scope="module")
def balls() -> dict[str, Surface]:
    affine = affine_of(np.diag([-1.0, -1.0, 1.0]))
    sizes = {"lung": 30.0, "infection": 10.0}
    masks = {name: ball((80, 80, 80), affine, radius_mm=radius) for name, radius in sizes.items()}
    return {name: build_surface(masks[name], affine, CONFIG, channel=name) for name in masks}


def corners(z: float = 0.0) -> np.ndarray:
    return np.array([[-9, -9, z], [9, -9, z], [9, 9, z], [-9, 9, z]], dtype=np.float32)


def surface_figure(surfaces, place=None):
    return make_surface_figure(
        surfaces, colours=PREDICTION_COLOURS, revision="a", slice_corners_mm=place
    )


def test_the_figure_draws_every_triangle_where_it_is(balls):
    figure = surface_figure(balls)
    drawn = {trace.name: trace for trace in figure.data}
    for channel, surface in balls.items():
        trace = drawn[channel.capitalize()]
        np.testing.assert_array_equal(np.stack([trace.x, trace.y, trace.z], 1), surface.vertices_mm)
        np.testing.assert_array_equal(np.stack([trace.i, trace.j, trace.k], 1), surface.faces)
        assert trace.color == PREDICTION_COLOURS[channel]
    assert drawn["Lung"].opacity < drawn["Infection"].opacity == 1.0
    assert figure.layout.scene.aspectmode == "data"


def test_letters_stand_where_ras_says(balls):
    letters = next(t for t in surface_figure(balls).data if t.name == "Directions")
    at = dict(zip(letters.text, np.stack([letters.x, letters.y, letters.z], 1), strict=True))
    for (plus, minus), axis in ((("R", "L"), 0), (("A", "P"), 1), (("S", "I"), 2)):
        top = balls["lung"].vertices_mm[:, axis].max()
        assert at[plus][axis] > top > at[minus][axis]


def test_another_slice_moves_the_plane_and_nothing_else(balls):
    before, after = (surface_figure(balls, at).to_dict() for at in (None, corners(5.0)))
    moved = [
        old["name"]
        for old, new in zip(before["data"], after["data"], strict=True)
        if json.dumps(old, default=str) != json.dumps(new, default=str)
    ]
    assert moved == ["Slice", "Outline of the slice"]
    assert before["layout"] == after["layout"]  # with its uirevision: the camera stays


def test_the_slice_is_a_rectangle_and_hidden_until_it_is_placed(balls):
    hidden = [t for t in surface_figure(balls).data if t.meta == "slice"]
    assert [trace.visible for trace in hidden] == [False, False]
    plane, outline = (t for t in surface_figure(balls, corners(5.0)).data if t.meta == "slice")
    assert plane.visible
    assert outline.visible
    at = np.stack([outline.x, outline.y, outline.z], 1)
    np.testing.assert_array_equal(at, corners(5.0)[[0, 1, 2, 3, 0]])
    at = np.stack([plane.x, plane.y, plane.z], 1)
    triangles = at[np.stack([plane.i, plane.j, plane.k], 1)]
    areas = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    np.testing.assert_array_equal(areas, [[0, 0, 18 * 18], [0, 0, 18 * 18]])  # twice each half


def test_the_stamp_goes_into_the_figure(balls):
    figure = make_surface_figure(balls, colours=PREDICTION_COLOURS, revision="a", stamp="SYNTHETIC")
    assert [note.text for note in figure.layout.annotations] == ["SYNTHETIC"]
    assert not surface_figure(balls).layout.annotations


def test_the_figure_of_two_surfaces_of_full_size_stays_small():
    rng = np.random.default_rng(0)
    half = CONFIG.max_triangles // 2
    full = Surface(
        rng.normal(0, 90, (half, 3)).astype(np.float32),
        rng.integers(0, half, (CONFIG.max_triangles, 3)).astype(np.int32),
    )
    sent = surface_figure({"lung": full, "infection": full}).to_json()
    assert len(sent) < 5e6 / 2


# ---------------------------------------------------------------- on Browse


def look_in_space_in(app) -> None:
    """As the button of the viewer does."""
    from core.ui.scan import surfaces

    session_of(app).part(surfaces._Shown).in_space = True


def browse_in_3d(study: Study, **choices: str):
    app = page("browse", study)
    look_in_space_in(app)
    for name, value in choices.items():
        app.session_state[name] = value
    return ran_well(app.run())


def specs(app) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def names(spec: dict) -> set[str]:
    return {trace["name"] for trace in spec["data"]}


def with_truth(**masks) -> Study:
    return replace(small_study(), truth=replace(small_truth(), **masks))


NOTHING = np.zeros((48, 40, 8), dtype=bool, order="F")


def test_nothing_is_built_before_a_person_asks_for_it():
    app = ran_well(page("browse", small_study()).run())
    assert not specs(app)
    assert not [name for name in opened(app).memo if "surfaces" in name]


def test_surfaces_are_drawn_and_built_once():
    app = browse_in_3d(small_study())
    (spec,) = specs(app)
    assert {"Lung", "Infection"} <= names(spec)
    assert "triangles, smoothed and simplified" in texts(app)
    assert "nominal" not in texts(app)
    before = opened(app).memo["surfaces", "Truth"]
    ran_well(app.run())
    assert opened(app).memo["surfaces", "Truth"] is before


def test_without_masks_it_says_how_to_get_them():
    app = browse_in_3d(small_study(truth=False))
    assert not specs(app)
    assert "no masks yet. Mark lung and infection with the network" in texts(app)


@pytest.mark.parametrize(
    ("masks", "drawn", "said"),
    [
        ({"infection": NOTHING}, {"Lung"}, "No infection is marked"),
        ({"infection": None}, {"Lung"}, "There is no mask of the infection"),
        ({"lung": None}, {"Infection"}, "There is no mask of the lung"),
    ],
)
def test_what_is_missing_is_reported(masks, drawn, said):
    app = browse_in_3d(with_truth(**masks))
    assert names(specs(app)[0]) & {"Lung", "Infection"} == drawn
    assert said in texts(app)


def test_empty_masks_draw_nothing_and_say_so():
    app = browse_in_3d(with_truth(lung=NOTHING, infection=NOTHING))
    assert not specs(app)
    assert "No lung is marked in this scan. No infection is marked" in texts(app)
    assert "triangles" not in texts(app)


def test_nominal_spacing_is_reported():
    assert "Proportions along the body are nominal" in texts(
        browse_in_3d(small_study(nominal=True))
    )


def test_a_generated_scan_is_stamped_in_3d():
    (spec,) = specs(browse_in_3d(small_study(synthetic=True)))
    assert [note["text"] for note in spec["layout"]["annotations"]] == ["SYNTHETIC"]


def test_prediction_or_truth_can_be_chosen(monkeypatch):
    only_lung = MaskPair(small_truth().lung, NOTHING)
    monkeypatch.setattr("core.ui.session.OpenStudy.prediction", property(lambda _: only_lung))
    first = browse_in_3d(small_study())
    assert "Infection" not in names(specs(first)[0])
    other = browse_in_3d(small_study(), **{"surfaces-source": "Truth"})
    assert "Infection" in names(specs(other)[0])
