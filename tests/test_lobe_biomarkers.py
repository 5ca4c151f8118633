"""Lobes in numbers, tables, files and pictures: five boxes whose volumes are known."""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest

from core.config import LOBE_COLOURS, LOBES
from core.drawing import Surface, region_of_faces
from core.loading import load_dicom
from core.measuring.biomarkers import Biomarkers, compute_biomarkers, find_fissures
from core.measuring.lobes import Lobes
from core.output.exports import dicom_seg_bytes
from core.output.report.lobes import LOBE_HEADER, draw_lobes, lobe_rows, lobe_words
from core.ui.scan.lobe_picture import lobes_html
from core.ui.scan.lobe_table import lobe_keys, lobe_shares, lobe_table
from core.ui.viewer.lobes import lobe_routes, lobes_header
from core.ui.viewer.serving import offers
from core.volume import BoolArray, MaskPair, Volume
from tests.scans import chest_hu, dicom_series, write_dicom
from tests.spheres import GREY, make_volume
from tests.studies import small_study
from tests.test_pages import html_pieces, opened, page, ran_well

SHAPE = (60, 40, 50)
BOXES = {
    "right_upper": np.s_[5:25, 5:35, 30:45],
    "right_middle": np.s_[5:25, 5:15, 5:30],
    "right_lower": np.s_[5:25, 15:35, 5:30],
    "left_upper": np.s_[35:55, 5:15, 5:45],
    "left_lower": np.s_[35:55, 15:35, 5:45],
}
VOXELS = {
    "right_upper": 20 * 30 * 15,
    "right_middle": 20 * 10 * 25,
    "right_lower": 20 * 20 * 25,
    "left_upper": 20 * 10 * 40,
    "left_lower": 20 * 20 * 40,
}


def labels() -> Any:
    made = np.zeros(SHAPE, dtype=np.uint8, order="F")
    for number, name in enumerate(LOBES, start=1):
        made[BOXES[name]] = number
    return made


def lobes() -> Lobes:
    return Lobes(labels(), mean_dice=0.91, weights_id="lobes-v1")


def infected(**voxels: int) -> BoolArray:
    """So many voxels of each lobe, from the corner that lies furthest from the others."""
    mask = np.zeros(SHAPE, dtype=bool, order="F")
    for name, count in voxels.items():
        part = mask[BOXES[name]]
        flat = np.zeros(part.size, dtype=bool)
        flat[:count] = True
        part[:] = flat.reshape(part.shape)
    return mask


def measured(
    infection: BoolArray | None,
    *,
    told: Lobes | None = None,
    hu: float = -600.0,
    **volume: Any,
) -> Biomarkers:
    scan = make_volume(np.full(SHAPE, hu, dtype=np.int16), **volume)
    masks = MaskPair(labels() > 0, infection)
    return compute_biomarkers(scan, masks, lobes=lobes() if told is None else told)


def test_the_table_says_once_that_lobes_are_estimated() -> None:
    found = measured(infected(right_upper=900))
    app = page("browse", small_study())
    opened(app).memo[("biomarkers", "Truth")] = found
    app.session_state["biomarkers-open"] = True
    app.session_state["biomarkers-source"] = "Truth"
    ran_well(app.run())
    read = re.sub('<[a-z]+ class="explained".*?</[a-z]+>', "", "".join(html_pieces(app)))
    read += "".join(caption.value for caption in app.caption)
    assert read.count("from the shape of the lungs") == 1
    assert found.lobes_note in read


def test_volumes_and_shares_are_those_of_the_boxes() -> None:
    found = measured(infected(right_upper=900, left_lower=4000))
    voxel_ml = make_volume(np.zeros(SHAPE, dtype=np.int16)).voxel_volume_ml
    for name in LOBES:
        volume = found.measurement(f"{name}_lobe_volume_ml")
        assert volume.value == pytest.approx(VOXELS[name] * voxel_ml)
    assert found.measurement("right_upper_lobe_infected_ml").value == pytest.approx(900 * voxel_ml)
    assert found.measurement("right_upper_lobe_infected_share").value == pytest.approx(0.1)
    assert found.measurement("left_lower_lobe_infected_share").value == pytest.approx(0.25)
    assert lobe_shares(found)["right_middle"] == 0.0
    total = sum(part.volume_ml for part in found.lobes.values())
    assert total == pytest.approx(found.both.volume_ml)


@pytest.mark.parametrize(
    ("share", "score"),
    [
        (0.0, 0),
        (0.0009, 0),
        (0.002, 1),
        (0.049, 1),
        (0.05, 2),
        (0.25, 2),
        (0.2502, 3),
        (0.4998, 3),
        (0.5, 4),
        (0.75, 4),
        (0.7502, 5),
        (1.0, 5),
    ],
)
def test_the_score_of_a_lobe_by_its_share(share: float, score: int) -> None:
    count = round(share * VOXELS["left_lower"])
    found = measured(infected(left_lower=count))
    assert found.measurement("lobe_score_left_lower").value == score
    assert found.measurement("lobar_score").value == score


def test_the_severity_score_adds_up_to_25() -> None:
    found = measured(infected(**VOXELS))
    assert found.lobar_score == 25
    rule = found.measurement("lobar_score")
    assert "Pan et al. 2020" in rule.source
    assert "estimated from the shape" in rule.definition


def test_ground_glass_and_consolidation_by_lobe() -> None:
    mask = infected(right_lower=1000)
    voxel_ml = make_volume(np.zeros(SHAPE, dtype=np.int16)).voxel_volume_ml
    glass, solid = measured(mask, hu=-600.0), measured(mask, hu=-100.0)
    assert glass.lobes["right_lower"].ground_glass_ml == pytest.approx(1000 * voxel_ml)
    assert glass.lobes["right_lower"].consolidation_ml == 0
    assert solid.lobes["right_lower"].consolidation_ml == pytest.approx(1000 * voxel_ml)
    grey = measured(mask, hu=100, intensity=GREY)
    assert not grey.measurement("right_lower_lobe_ground_glass_ml").defined
    assert grey.measurement("right_lower_lobe_infected_ml").defined


def test_infection_near_a_fissure_is_marked() -> None:
    near = np.zeros(SHAPE, dtype=bool, order="F")
    near[10:14, 20:24, 28:30] = True  # just below the upper lobe
    far = np.zeros(SHAPE, dtype=bool, order="F")
    far[40:44, 33:35, 40:44] = True  # 18 voxels behind the left fissure
    scan = {"affine": np.diag([-2.0, -2.0, 2.0, 1.0])}
    found = measured(near | far, **scan)
    assert found.lobes["right_lower"].near_fissure_share == 1.0
    assert found.lobes["left_lower"].near_fissure_share == 0.0
    assert "†" in lobe_table(found)
    assert "Right lower lobe †" in [row[0] for row in lobe_rows(found)]
    assert "†" not in lobe_table(measured(far, **scan))
    assert "within 10 mm" in lobe_words(found)


def test_fissures_lie_between_lobes_of_one_lung() -> None:
    made = labels()
    fissures = find_fissures(made)
    assert fissures[10, 20, 29]
    assert fissures[40, 14, 20]
    assert not fissures[:, :, 46:].any()
    touching = made.copy()
    touching[25:35, 5:35, 5:45] = np.where(np.arange(25, 35)[:, None, None] < 30, 3, 5)
    # Where both lungs touch there is no fissure.
    assert not find_fissures(touching)[29, 25, 20]


def test_without_lobes_every_reason_says_so() -> None:
    told = Lobes(None, "Lobes were not estimated: only one lung seems to be marked.")
    found = measured(infected(right_upper=900), told=told)
    score = found.measurement("lobar_score")
    assert not score.defined
    assert score.reason == told.reason
    assert told.reason in found.notes
    assert told.reason in lobe_table(found)
    assert lobe_rows(found) == []
    assert draw_lobes(found, width=300, height=140) is None
    assert found.measurement("zonal_score").defined


def test_unknown_infection_leaves_volumes() -> None:
    found = measured(None)
    assert found.measurement("left_upper_lobe_volume_ml").defined
    assert found.measurement("left_upper_lobe_infected_ml").reason == (
        "The infection is not marked."
    )
    assert found.lobar_score is None


def test_lobes_part_lungs_that_touch() -> None:
    made = labels()
    made[25:30, 5:35, 5:45] = 3
    made[30:35, 5:35, 5:45] = 5
    lung = made > 0
    scan = make_volume(np.full(SHAPE, -800, dtype=np.int16))
    found = compute_biomarkers(scan, MaskPair(lung, None), lobes=Lobes(made, mean_dice=0.9))
    assert found.split == "lobes"
    voxels = int(np.count_nonzero((made > 0) & (made < 4)))
    assert found.right.volume_ml == pytest.approx(voxels * scan.voxel_volume_ml)


def test_the_tables_hold_every_lobe_and_say_that_they_are_estimated() -> None:
    found = measured(infected(right_upper=900))
    table = lobe_table(found)
    assert table.count("<tr>") == 1 + len(LOBES) + 1
    assert "mean Dice 0.91 on scans of other patients" in table
    assert len(lobe_rows(found)) == len(LOBES) + 1
    assert len(LOBE_HEADER) == len(lobe_rows(found)[0])
    assert {one.key for one in found.measurements} >= set(lobe_keys())
    assert draw_lobes(found, width=300, height=140) is not None


def test_a_dicom_segmentation_has_a_coded_segment_for_each_lobe(tmp_path: Path) -> None:
    study = "1.2.826.0.1.3680043.8.498.1"
    made_of = dicom_series(chest_hu(), StudyInstanceUID=study, FrameOfReferenceUID=f"{study}.2")
    volume = load_dicom(write_dicom(made_of, tmp_path / "series"))
    made = np.zeros(volume.shape, dtype=np.uint8, order="F")
    for number in range(1, 6):
        made[6 * number : 6 * number + 4, 8:20, 2:6] = number
    told = Lobes(made, mean_dice=0.9, weights_id="lobes-v1")
    content = dicom_seg_bytes(
        MaskPair(made > 0, None),
        volume,
        algorithm="lite-v1",
        made_on=date(2026, 1, 1),
        lobes=told,
    )
    found = pydicom.dcmread(io.BytesIO(content)).SegmentSequence
    codes = [one.SegmentedPropertyTypeCodeSequence[0].CodeValue for one in found]
    assert codes == ["39607008", "45653009", "72481006", "266005", "44714003", "41224006"]
    assert all("estimated" in one.SegmentLabel for one in found[1:])
    names = {one.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName for one in found[1:]}
    assert names == {"LungLens lobes-v1"}


def test_the_browser_gets_lobes_by_the_scans_token_alone() -> None:
    class Owner:
        pass

    owner = Owner()
    volume: Volume = make_volume(np.zeros(SHAPE, dtype=np.int16))
    offer = offers.offer(owner, volume)
    header = lobes_header(offer, lobes())
    assert header is not None
    number = str(header["version"])
    assert header["shape"] == [50, 30, 40]
    assert header["first"] == [5, 5, 5]
    assert header["colours"] == list(LOBE_COLOURS.values())
    route = lobe_routes("base")[0]
    assert route.path == "/base/lunglens/slices/{token}/lobes/{version}"

    def request(token: str, version: str) -> Any:
        return SimpleNamespace(cookies={}, path_params={"token": token, "version": version})

    answer = route.endpoint(request(offer.token, number))
    cells = np.frombuffer(zlib.decompress(answer.body, 31), dtype=np.uint8)
    assert np.array_equal(cells.reshape(40, 30, 50).T, labels()[5:55, 5:35, 5:45])
    for token, version in (("guessed", number), (offer.token, f"{number}0")):
        assert route.endpoint(request(token, version)).status_code == 404
    told = lobes()
    first, again, other = (lobes_header(offer, one) for one in (told, told, lobes()))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first["version"] == again["version"] < other["version"]
    assert lobes_header(offer, Lobes(None, "no")) == {"version": 0, "reason": "no"}
    after = lobes_header(offer, told)
    assert after is not None
    # What the browser keeps under a number never becomes other lobes.
    assert after["version"] > other["version"]


def test_triangles_take_the_nearest_region() -> None:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    corners = np.array([[30, 40, 70], [32, 40, 70], [30, 42, 70], [90, 30, 20], [92, 30, 20]])
    vertices = np.concatenate([corners, [[118, 78, 98]]]).astype(np.float32)
    faces = np.array([[0, 1, 2], [3, 4, 3], [5, 5, 5]], dtype=np.int32)
    found = region_of_faces(Surface(vertices, faces), labels(), affine)
    # The last corner lies outside: the left lower lobe is nearest.
    assert found.tolist() == [1, 5, 5]
    nothing = region_of_faces(Surface(vertices, faces), np.zeros(SHAPE, np.uint8), affine)
    assert nothing.tolist() == [0, 0, 0]


def test_cut_offs_of_the_score_must_rise() -> None:
    from core.errors import ConfigError
    from core.measuring.biomarkers import BiomarkerConfig

    with pytest.raises(ConfigError, match="lobar score"):
        replace(BiomarkerConfig(), lobe_score_shares=(0.05, 0.5, 0.25, 0.75))


def test_the_small_picture_shows_each_lobe_with_its_share() -> None:
    found = measured(infected(right_upper=900, left_lower=4000))
    values = found.to_json_dict()["values"]
    picture = lobes_html(values, ink="#dbe3ea")
    assert "right upper lobe 10" in picture
    assert "left lower lobe 25" in picture
    assert "estimated" in picture
    assert lobes_html({}, ink="#dbe3ea") == ""
