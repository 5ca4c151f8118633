"""Classify as the page tells it: nothing yet, a verdict, its limits, its files; never run twice."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.classification.card import (
    Calibration,
    card_points,
    worth_of_pictures,
    worth_of_scans,
)
from core.classification.classifier import Classifier
from core.classification.combination import Combination, Line
from core.classification.config import BandConfig, ClassifierModelConfig
from core.classification.frames import cut_to_lung, heat_share, shrink_heat, unframed
from core.classification.info import ClassifierInfo, FitnessConfig, Head
from core.classification.lesions import LesionModel
from core.classification.metrics import ReliabilityBin
from core.classification.scan import ScanModel
from core.classification.scores import COLUMNS, ScoreRow, table_text, verdict_record
from core.config import PreprocessConfig
from core.errors import WeightsError
from core.segmentation.manifests import CARD_NAME
from core.ui.classify.limits import calibration_sentence
from core.ui.classify.running import Verdicts
from core.ui.classify.slices import most_influential
from core.ui.classify.verdict_card import opinions_sentence, probability_text
from core.ui.viewer import Heat
from core.volume import Study, volume_from_file
from tests.app_session import session_of
from tests.studies import StandInSegmenter, small_study, use_stand_in
from tests.test_pages import button, opened, page, place, ran_well, texts
from tests.tiny_classifier import figures, record

SIDE = 32
BINS = [[0.0, 0.1, 40, 0.05, 0.1], [0.8, 0.9, 10, 0.85, 0.7], [0.9, 1.0, 50, 0.97, 0.9]]
CARD = """# Classifier

## Known failures and limits

- No children,
  no scanner known.
- Fibrosis looks *alike*.

## Licence

- Not this.
"""


class StandInNetwork:
    """Its evidence is how bright the frame is; counts the frames it was shown."""

    def __init__(self) -> None:
        self.frames = 0

    def maps(self, slices: Any) -> Iterator[Any]:
        for frame in slices:
            self.frames += 1
            grey = frame[..., 0].reshape(2, 16, 2, 16).mean(axis=(1, 3)).astype(np.float32)
            yield grey[None], np.stack([grey / 20 - 4, 0 * grey])


def stand_in_info(folder: Path, **changes: Any) -> ClassifierInfo:
    manifest = record()
    manifest["calibration"]["ucsd"]["after"]["reliability"] = BINS
    manifest["results"]["network and lesions, ucsd → sars"] = figures(auc=0.66)
    (folder / CARD_NAME).write_text(CARD, encoding="utf-8")
    info = ClassifierInfo(
        weights_id="stand-in-classifier",
        title="Stand-in",
        folder=folder,
        sha256="stand-in",
        graph_sha256="",
        model=ClassifierModelConfig(rows=SIDE, columns=SIDE, masks="pooling"),
        combination=Combination(),
        lesions=LesionModel(),
        bands=BandConfig(),
        scan=ScanModel(lung_of_largest=0.0, most_suspicious_share=0.5),
        fitness=FitnessConfig(min_lung_share=0.0, min_contrast=0.0),
        segmentation_id="stand-in",
        encoder_id="stand-in",
        manifest_text=json.dumps(manifest),
    )
    return replace(info, **changes)


def stand_in_classifier(info: ClassifierInfo) -> Classifier:
    """Its logit is the mean grey level of the lung over 20, less 4."""
    columns = 3 + 4 + 2
    head = Head(
        mean=np.zeros(columns, np.float32),
        scale=np.ones(columns, np.float32),
        axes=np.zeros((columns, 1), np.float32),
        axial=np.zeros(3, np.float32),
    )
    return Classifier(info, StandInNetwork(), head)


@pytest.fixture
def classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    monkeypatch.delenv("LUNGLENS_DATA_FOLDER", raising=False)
    return install(stand_in_info(tmp_path), monkeypatch)


def install(info: ClassifierInfo, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    use_stand_in(monkeypatch)
    segmenter = StandInSegmenter()
    found = stand_in_classifier(info)
    monkeypatch.setattr("core.classification.classify.load_segmenter", lambda *a, **k: segmenter)
    monkeypatch.setattr("core.classification.find_classifier", lambda *a, **k: info)
    monkeypatch.setattr("core.classification.load_classifier", lambda *a, **k: found)
    return found


def frames(classifier: Classifier) -> int:
    """How many frames the network was shown so far."""
    network: Any = classifier._network
    return int(network.frames)


def judged(study: Study) -> AppTest:
    """The page with the verdict on a study, asked for as a person does."""
    app = ran_well(page("classify", study).run())
    what = "picture" if study.volume.shape[2] == 1 else "scan"
    ran_well(button(app, f"Classify this {what}").click().run())
    return finished(app)


def finished(app: AppTest) -> AppTest:
    if session_of(app).part(Verdicts).slot.job is not None:
        session_of(app).part(Verdicts).slot.job.join(60)
    return ran_well(app.run())


def verdict_of(app: AppTest) -> Any:
    (kept,) = session_of(app).part(Verdicts).kept.values()
    return kept.verdict


def picture_study(count: int = 1) -> Study:
    volume = small_study().volume
    stack = volume_from_file(
        np.asfortranarray(volume.array[:, :, 3 : 3 + count]),
        np.diag([-1.0, -1.0, 1.0, 1.0]),
        intensity=volume.intensity,
        name="figure.png",
        format="pictures",
        spacing_nominal=True,
    )
    return Study(stack, case_id="figure")


def test_without_a_study_it_says_what_to_do(classifier: Classifier) -> None:
    assert "No scan is open" in texts(ran_well(page("classify").run()))


def test_before_a_run_limits_are_reported_and_nothing_is_computed(classifier: Classifier) -> None:
    app = ran_well(page("classify", small_study()).run())
    told = texts(app)
    assert "not a diagnosis" in told
    assert "What the model has not seen" in told
    assert "No children, no scanner known" in told.replace("\\", "")
    assert "0.660 (0.500–0.700) on SARS-COV-2 CT-scan when trained on UCSD" in told.replace(
        "\\", ""
    )
    assert frames(classifier) == 0


def test_a_verdict_is_computed_once_and_read_from_then_on(classifier: Classifier) -> None:
    app = judged(small_study())
    verdict = verdict_of(app)
    shown = frames(classifier)
    assert shown == 2 * len(verdict.slice_indices) > 0  # once to judge, once for the heat
    told = texts(app)
    assert probability_text(verdict.covid_probability) in told
    assert f'class="band">{verdict.band.capitalize()}<' in told
    assert "Not a diagnosis." in told
    worth = told.index("right for 2 of 2 scans of patients it was not trained on")
    assert worth < told.index('class="band"') < told.index("Probability of COVID-19: ")
    assert place(app).voxel[2] == verdict.highest_scoring[0]
    assert "was calibrated on few scans" in told
    assert opened(app).segmentation is not None
    place(app).follow({"voxel": [5, 5, 6]}, opened(app).study.volume.shape)
    assert "Slice 7 by itself" in texts(ran_well(app.run()))
    app.slider[0].set_value(100)
    ran_well(app.run())
    app.toggle[0].set_value(False)
    ran_well(app.run())
    assert frames(classifier) == shown


def test_a_thumbnail_leads_to_its_slice(classifier: Classifier) -> None:
    app = judged(small_study())
    first = most_influential(classifier.info, verdict_of(app))[0]
    place(app).follow({"voxel": [5, 5, 7 - first]}, opened(app).study.volume.shape)
    ran_well(app.run())
    app.button(key=f"classify-look-{first}").click()
    ran_well(app.run())
    assert place(app).voxel[2] == first
    assert place(app).plane == "axial"


def test_other_masks_ask_for_another_verdict_and_the_first_is_kept(
    classifier: Classifier,
) -> None:
    from core.ui import segmenting

    app = judged(small_study())
    current, shown = opened(app), frames(classifier)
    assert current.segmentation is not None
    before = current.segmentation
    segmenting.change_thresholds(current, before, lung=0.6, infection=0.9)
    ran_well(app.run())
    assert button(app, "Classify this scan")
    segmenting.change_thresholds(
        current,
        current.segmentation,
        lung=before.config.postprocess.lung_threshold,
        infection=before.config.postprocess.infection_threshold,
    )
    ran_well(app.run())
    assert "Not a diagnosis." in texts(app)
    assert frames(classifier) == shown


def test_one_picture_has_neither_strip_nor_zones(classifier: Classifier) -> None:
    app = judged(picture_study())
    told = texts(app)
    assert verdict_of(app).slice_indices == (0,)
    assert "For this picture" in told
    assert "it does not carry over" in told
    assert "was calibrated on few scans" not in told
    assert "Most influential slices" not in told
    assert "Upper" not in told
    assert "neither a known order nor known sides" in told
    assert not app.get("exception")


def test_a_stack_of_pictures_is_classified_as_one_scan(classifier: Classifier) -> None:
    app = judged(picture_study(3))
    assert "treated as the slices of one scan" in texts(app)
    assert "Most influential slices" in texts(app)
    assert set(verdict_of(app).slice_indices) <= {0, 1, 2}


def test_of_a_synthetic_scan_it_says_that_nothing_is_meant(classifier: Classifier) -> None:
    app = judged(small_study(synthetic=True))
    assert "its result here is meaningless" in texts(app)
    assert "SYNTHETIC" in "".join(piece for piece in texts(app).split("<") if "stamp" in piece)


def test_abstaining_comes_first_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(stand_in_info(tmp_path, fitness=FitnessConfig(min_lung_share=0.99)), monkeypatch)
    app = judged(small_study(truth=False))
    (warning,) = (w.value for w in app.warning if "abstains" in w.value)
    assert "too little lung" in warning.replace("\\", "")
    assert "should not be relied on" in warning
    assert 'class="verdict abstained"' in texts(app)


def test_missing_and_damaged_weights_are_reported_in_a_sentence(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*args: Any, **more: Any) -> Any:
        raise WeightsError("The weights are damaged", next_step="restore the file")

    monkeypatch.setattr("core.classification.load_classifier", damaged)
    app = judged(small_study())
    assert "The weights are damaged" in app.error[0].value
    assert not session_of(app).part(Verdicts).kept
    assert button(app, "Classify this scan")
    monkeypatch.setattr("core.classification.find_classifier", damaged)
    app = ran_well(page("classify", small_study()).run())
    assert "The weights are damaged" in app.error[0].value
    assert not [b for b in app.button if b.label.startswith("Classify")]


def test_a_run_can_be_stopped(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = StandInSegmenter()
    segmenter.may_go_on.clear()
    monkeypatch.setattr("core.classification.classify.load_segmenter", lambda *a, **k: segmenter)
    app = ran_well(page("classify", small_study()).run())
    ran_well(button(app, "Classify this scan").click().run())
    assert segmenter.entered.wait(20)
    ran_well(button(app, "Stop").click().run())
    finished(app)
    assert "The run was stopped" in texts(app)
    assert opened(app).segmentation is None
    assert frames(classifier) == 0
    assert button(app, "Classify this scan")


def test_both_files_are_offered(classifier: Classifier) -> None:
    app = judged(small_study())
    labels = [item.proto.label for item in app.get("download_button")]
    assert labels == ["Verdict (JSON)", "Scores (CSV)"]
    verdict = verdict_of(app)
    (row,) = csv.DictReader(io.StringIO(table_text([ScoreRow("a", verdict)])))
    assert tuple(row) == COLUMNS
    assert float(row["covid_probability"]) == pytest.approx(verdict.covid_probability, abs=1e-6)
    record = verdict_record("a", replace(verdict, infected_share=float("nan")), synthetic=True)
    assert record["synthetic"] is True
    assert record["infected_share"] is None
    assert [one["slice"] for one in record["slices"]] == [k + 1 for k in verdict.slice_indices]
    assert "not a diagnosis" in record["note"]
    json.dumps(record, allow_nan=False)


# ---------------------------------------------------------------- what is said, by hand


def test_calibration_is_reported_in_pictures_out_of_a_hundred() -> None:
    bins = tuple(ReliabilityBin(*row) for row in BINS)  # type: ignore[arg-type]
    one = Calibration("Set", 0.2, 0.1, (0.05, 0.15), bins)
    assert one.pictures == 100
    assert "**70** (40 to 89) showed COVID-19 (7 of 10 held-out ones)" in calibration_sentence(
        one, 0.85
    )
    assert "**90** (79 to 96) showed COVID-19 (45 of 50" in calibration_sentence(one, 1.0)
    assert "no held-out picture was given" in calibration_sentence(one, 0.5)


def test_what_the_number_is_worth_comes_in_words(tmp_path: Path) -> None:
    info = stand_in_info(tmp_path)
    told = worth_of_pictures(info)
    assert told.startswith("Experimental, and it does not carry over")
    assert "in 58 of 100 (50 to 70) on SARS-COV-2 CT-scan" in told
    kept = record()
    kept["results"] = {name: figures(auc=0.75) for name in kept["results"]}
    told = worth_of_pictures(replace(info, manifest_text=json.dumps(kept)))
    assert told.startswith("Experimental: on sets it was not trained on, it is right in 58")
    told = worth_of_scans(info)
    assert "right for 2 of 2 scans" in told
    assert "Only 1 of them had no COVID-19" in told
    unknown = replace(info, manifest_text="{}")
    assert "not known" in worth_of_pictures(unknown)
    assert "not known" in worth_of_scans(unknown)


def test_no_probability_is_a_certainty() -> None:
    assert [probability_text(p) for p in (0.0, 0.004, 0.5, 0.999, 1.0, float("nan"))] == [
        "under 1\u2009%",
        "under 1\u2009%",
        "50\u2009%",
        "over 99\u2009%",
        "over 99\u2009%",
        "not defined",
    ]


def test_points_of_a_card() -> None:
    assert card_points(CARD, "Known failures and limits") == (
        "No children, no scanner known.",
        "Fibrosis looks *alike*.",
    )
    assert card_points(CARD, "Nowhere") == ()


def test_contradiction_is_indeterminate_and_both_opinions_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is sure of it, and next to nothing is marked."""
    sure = Combination(network_alone=Line(0.0, 3.0), lesions_alone=Line(0.0, -3.0), bias=2.0)
    install(stand_in_info(tmp_path, combination=sure), monkeypatch)
    app = judged(picture_study())
    verdict = verdict_of(app)
    assert verdict.disagreement
    assert verdict.band == "indeterminate"
    assert "The two contradict each other" in texts(app)
    told = opinions_sentence(verdict)
    assert "alone gives 95\u2009%" in told
    assert "alone 5\u2009%" in told
    assert "contradict" not in opinions_sentence(replace(verdict, disagreement=False))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_heat_comes_back_to_where_the_pixel_lies(turns: int) -> None:
    """A hot corner of the upright picture, and where `turn_volume` says that it came from."""
    from types import SimpleNamespace

    from core.preprocessing.spatial import plan_spatial, turn_volume

    array = np.zeros((40, 24, 1), np.int16)
    array[3, 5, 0] = 7
    volume = replace(picture_study().volume, array=np.asfortranarray(array))
    volume = replace(volume, source=replace(volume.source, file_shape=array.shape))
    upright = turn_volume(volume, turns)
    columns, rows, _ = upright.shape
    heat = np.zeros((rows, columns), np.float32)
    heat[upright.array[:, :, 0].T == 7] = 1.0
    record = plan_spatial(volume, PreprocessConfig(), quarter_turns=turns)
    without_lung: Any = SimpleNamespace(record=record, masks=SimpleNamespace(lung=None))
    (found,) = unframed([heat], volume, without_lung, [0])
    assert found.shape == (24, 40)
    np.testing.assert_array_equal(np.argwhere(found == 1), [[5, 3]])


def test_heat_is_cut_off_at_the_lung() -> None:
    heat = np.ones((4, 6), np.float32)
    lung = np.zeros((6, 4, 2), bool)
    lung[2, 1, 1] = True
    assert cut_to_lung(heat, lung, 1).sum() == 1
    assert cut_to_lung(heat, lung, 1)[1, 2] == 1
    assert cut_to_lung(heat, None, 0) is heat


def test_share_of_heat_in_the_lung_is_that_of_its_sum() -> None:
    heat = np.zeros((4, 6), np.float32)  # rows, columns
    heat[1, 2], heat[3, 5] = 0.3, 0.9
    lung = np.zeros((6, 4), bool)  # columns, rows
    lung[2, 1] = True
    assert heat_share(heat, lung) == pytest.approx(0.25)
    assert np.isnan(heat_share(heat * 0, lung))
    assert np.isnan(heat_share(heat, None))


def test_maps_are_sent_small_and_whole(classifier: Classifier) -> None:
    heat = np.zeros((512, 256), np.float32)
    heat[256:, :] = 1.0
    small = shrink_heat(heat, longest=64)
    assert small.shape == (64, 32)
    assert small[:32].max() == 0
    assert small[32:].min() == 255
    from base64 import b64decode

    from core.ui.viewer.header import _heat_header

    header = _heat_header(Heat("a", {7: small}, 0.3))
    kept = header["slices"]["7"]
    sent = np.frombuffer(b64decode(kept["values"]), np.uint8).reshape(kept["rows"], kept["columns"])
    np.testing.assert_array_equal(sent, small)
    assert len(b64decode(header["colours"])) == 768
