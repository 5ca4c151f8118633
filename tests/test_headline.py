"""The headline: what it says, where the infection lies, and whose masks say so."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.evaluation.training_side import trained_on_generated
from core.measuring.biomarkers.compute import compute_biomarkers
from core.measuring.biomarkers.zones import leading_zones
from core.segmentation.pipeline import segment_volume
from core.ui.scan.doubts import titles_of
from core.ui.scan.headline import first_line, second_line
from core.ui.scan.lung_picture import lungs_html
from core.ui.scan.measures import CORRECTED
from core.ui.scan.whose import whose_sentence
from core.ui.session import OpenStudy
from core.volume import MaskPair
from tests.app_session import session_of
from tests.studies import StandInInfo, StandInSegmenter, small_study, small_volume, use_stand_in
from tests.test_pages import button, finish_run, opened, page, ran_well, texts

THIN, NO_BREAK = "\u2009", "\u00a0"


def values_of(infection: tuple[slice, ...]) -> dict[str, Any]:
    """Biomarkers of two box lungs in which one box is infected."""
    volume = small_volume()
    lung = np.zeros(volume.shape, dtype=bool, order="F")
    lung[6:20, 8:32, 0:6] = True
    lung[28:42, 8:32, 0:6] = True
    infected = np.zeros_like(lung)
    infected[infection] = True
    found = compute_biomarkers(volume, MaskPair(lung, infected & lung))
    return {one.key: one.value for one in found.measurements}


def test_the_sentence_of_a_case() -> None:
    values = {
        "infected_share": 0.357,
        "lung_volume_ml": 1956.0,
        "infected_volume_ml": 698.3,
        "laterality": "both",
        "mosmed_category": "CT-2",
        "infected_share_upper": 0.22,
        "infected_share_middle": 0.38,
        "infected_share_lower": 0.47,
        "infected_share_ventral": 0.05,
        "infected_share_dorsal": 0.66,
    }
    share, volumes = first_line(values)
    assert share == f"<b>35.7{THIN}%</b> of the lung is infected"
    assert volumes == f"(698{NO_BREAK}ml of 1.96{NO_BREAK}l)"
    assert second_line(values) == "both lungs, mostly lower and dorsal · category CT-2"


@pytest.mark.parametrize(
    ("box", "zones"),
    [
        # Slices 0 and 1 of six are the lower third, j below 20 the ventral half.
        ((slice(None), slice(8, 20), slice(0, 2)), ("lower", "ventral")),
        ((slice(None), slice(20, 32), slice(4, 6)), ("upper", "dorsal")),
        ((slice(None), slice(8, 32), slice(2, 4)), ("middle",)),
        ((slice(None), slice(8, 32), slice(0, 6)), ()),
    ],
)
def test_zones_stand_out_where_the_infection_was_put(
    box: tuple[slice, ...], zones: tuple[str, ...]
) -> None:
    assert leading_zones(values_of(box)) == zones


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert leading_zones({}) == ()
    assert leading_zones({"infected_share": 0.2, "infected_share_upper": 0.4}) == ()
    assert first_line({}) == ("The infected share is not defined", "")
    assert first_line({"infected_share": float("nan")})[0] == "The infected share is not defined"
    share, volumes = first_line({"infected_share": 0.2, "lung_volume_ml": float("nan")})
    assert (share, volumes) == (f"<b>20.0{THIN}%</b> of the lung is infected", "")
    assert first_line({"infected_share": 0.0})[0] == "<b>No infection</b> is marked in the lung"
    assert second_line({"laterality": "none", "mosmed_category": "CT-0"}) == "category CT-0"


def test_the_picture_has_each_zone_with_its_share() -> None:
    values = {
        f"infected_share_{side}_{third}": share
        for side, shares in (("right", (0.1, 0.2, 0.3)), ("left", (0.4, 0.5, float("nan"))))
        for third, share in zip(("upper", "middle", "lower"), shares, strict=True)
    }
    html = lungs_html(values, ink="#123456")
    packed = re.search(r"base64,([^\"]+)", html)
    assert packed is not None
    svg = b64decode(packed[1]).decode()
    assert re.findall(r">([^<>]+)</text>", svg) == [
        *(f"{number}{THIN}%" for number in (10, 20, 30, 40, 50)),
        "–",
    ]
    # The deeper, the more is infected, and full from one half on.
    depths = [float(d) for d in re.findall(r"#E69F00\" fill-opacity=\"([0-9.]+)", svg)]
    assert depths == [*sorted(depths[:5]), 0.0]
    assert depths[4] == 1.0
    assert "right upper 10" in html
    assert lungs_html({}, ink="#123456") == ""


# ---------------------------------------------------------------- whose masks


def marked(**info: Any) -> tuple[OpenStudy, StandInInfo]:
    current = OpenStudy(study=small_study(), origin="case", link="x")
    current.set_segmentation(segment_volume(current.study.volume, StandInSegmenter()))
    return current, replace(StandInInfo(), **info)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ({}, "was not trained on a patient of this name"),
        (
            {
                "split": {"train": {"patients": ["small"], "case": ["small"]}},
                "cross_validation": {"scans": [{"scan_id": "small", "infection_dice": 0.5432}]},
            },
            "which was trained on this patient. Dice of infection: 0.117 here; "
            "0.543 when not trained on this patient.",
        ),
        (
            {"split": {"validation": {"patients": ["small"]}}},
            "which was selected on this patient among others",
        ),
        (
            {"split": {"train": {"patients": ["generated_1"], "case": ["generated_1"]}}},
            "trained on generated chests only: on a real scan its masks are meaningless",
        ),
    ],
)
def test_whose_masks_are_shown(
    manifest: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    current, info = marked(manifest=manifest)
    monkeypatch.setattr("core.segmentation.find_weights", lambda weights_id: info)
    sentence = whose_sentence(current, "Prediction")
    assert sentence.startswith("Masks by stand-in, ")
    assert words in sentence


def test_only_weights_of_generated_cases_alone_are_called_so() -> None:
    def info(*cases: str) -> Any:
        return StandInInfo(manifest={"split": {"train": {"case": list(cases)}}})

    assert trained_on_generated(info("generated_1", "generated_2"))
    assert not trained_on_generated(info("generated_1", "coronacases_org_001"))
    assert not trained_on_generated(info())
    assert not trained_on_generated(StandInInfo(manifest={"split": "none"}))  # type: ignore[arg-type]


def test_corrected_masks_are_those_of_a_person() -> None:
    current, _ = marked()
    assert whose_sentence(current, CORRECTED) == current.correction.record.sentence


# ---------------------------------------------------------------- doubts


def test_a_doubt_has_a_short_name() -> None:
    study = small_study(grey=True, nominal=True)
    current = OpenStudy(study=study, origin="case", link="x")
    assert titles_of(current) == ("not HU", "voxel size not known")
    plain = OpenStudy(study=small_study(), origin="case", link="x")
    assert titles_of(plain) == ()
    run = segment_volume(plain.study.volume, StandInSegmenter())
    lung = np.ones(plain.study.volume.shape, dtype=bool)
    plain.set_segmentation(replace(run, masks=MaskPair(lung, lung & False)))
    # Eight slices of 5 mm, all with lung.
    assert f"only 40{NO_BREAK}mm covered" in titles_of(plain)


@pytest.mark.parametrize("name", ["browse", "segment", "report", "home"])
def test_a_marked_scan_begins_with_its_headline(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_stand_in(monkeypatch)
    app = page("segment", small_study(grey=True)).run()
    button(app, "Mark lung and infection").click().run()
    current = opened(finish_run(app))
    app = page(name)
    session_of(app).opened = current
    shown = texts(ran_well(app.run()))
    assert "of the lung is infected" in shown
    assert "Masks by stand-in" in shown
    assert "black and white are taken as" in shown


def test_another_run_brings_its_own_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    use_stand_in(monkeypatch)
    app = page("segment", small_study()).run()
    button(app, "Mark lung and infection").click().run()
    app = finish_run(app)
    slider = next(s for s in app.slider if s.label == "Infection threshold")
    own = slider.value
    ran_well(slider.set_value(0.9).run())
    assert opened(app).segmentation.config.postprocess.infection_threshold == 0.9
    ran_well(button(app, "Run with stand-in").click().run())
    app = finish_run(app)
    assert opened(app).segmentation.config.postprocess.infection_threshold == own
    assert next(s for s in app.slider if s.label == "Infection threshold").value == own
