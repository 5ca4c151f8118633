"""The content of a report, collected once; PDF, HTML and zip only lay it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from core import __version__
from core.annotation import Annotation, measured_text
from core.config import CHANNELS, RESEARCH_NOTE, Channel, EvaluateConfig, QualityConfig
from core.correction import HandCorrection
from core.errors import shown_name
from core.evaluation import compute_overlap, compute_surface_agreement, side_sentence
from core.loading import case_of_scan
from core.measuring.biomarkers import Biomarkers, Measurement, compute_biomarkers
from core.measuring.lobes import Lobes
from core.measuring.quality import QualityReport, check_scan, slices_with_lung, summary_lines
from core.output.report.config import ReportConfig
from core.output.report.marks import ordered_marks
from core.output.report.methods import HAND_LIMITATIONS, LIMITATIONS, Methods, describe_methods
from core.output.report.pictures import KeySlice, draw_key_slices
from core.output.report.profile import Profile, measure_profile
from core.output.saving import mask_file_notes
from core.segmentation import Segmentation, WeightsInfo
from core.segmentation.lobes import find_lobes
from core.system import OnProgress, ShouldCancel, ignore_progress, never_cancel, raise_if_cancelled
from core.volume import Study, Volume

HEADLINE = (
    "infected_share",
    "lung_volume_ml",
    "infected_volume_ml",
    "mosmed_category",
    "lobar_score",
    "laterality",
)
"""Keys of the biomarkers that stand on the first page, in order."""

_KINDS = {
    "nifti": "NIfTI file",
    "analyze": "Analyze pair",
    "nrrd": "NRRD file",
    "metaimage": "MetaImage file",
    "numpy": "NumPy array",
    "dicom": "DICOM series",
    "pictures": "Pictures",
    "generated": "Generated",
}
NOBODY = "Subject not named"
"""In place of a name that nobody typed."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """Prediction against truth: scores by channel, nan where undefined, and how far to trust
    them."""

    scores: Mapping[Channel, Mapping[str, float]]
    sentence: str


@dataclass(frozen=True, eq=False)
class Report:
    """One scan's report.

    Attributes:
        facts, settings: label and value, in the order to show them.
        stamp: "SYNTHETIC" for a generated scan.
        warnings: sentences on this scan and this run; `quality`: what the checks found in it.
        by_hand: how a person has corrected the masks; none where they are the network's.
        notes: what a person has written on the scan.
        marks: number and slice, and what was placed on it with its measurements; the key slices
            show as many of them as they have room for.
    """

    config: ReportConfig
    facts: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    stamp: str
    biomarkers: Biomarkers
    lobes: Lobes
    pictures: tuple[KeySlice, ...]
    profile: Profile | None
    agreement: Agreement | None
    quality: QualityReport
    warnings: tuple[str, ...]
    methods: Methods
    by_hand: HandCorrection | None = None
    notes: str = ""
    marks: tuple[tuple[str, str], ...] = ()
    limitations: tuple[str, ...] = LIMITATIONS
    note: str = RESEARCH_NOTE

    title: str = "Chest CT: lung and infection"

    @property
    def headline(self) -> tuple[Measurement, ...]:
        """The biomarkers of the first page; the zonal score where there are no lobes."""
        return tuple(
            self.biomarkers.measurement(
                "zonal_score" if key == "lobar_score" and not self.biomarkers.lobes else key
            )
            for key in HEADLINE
        )

    @property
    def drawn_by(self) -> str:
        """Who drew the masks, in a sentence."""
        if self.by_hand is None:
            return "Masks were drawn by a program and not checked by a reader."
        return f"Masks were {self.by_hand.text}."

    @property
    def quality_lines(self) -> tuple[str, ...]:
        """Findings of the checks; a sentence where there is none."""
        found = tuple(line[:1].upper() + line[1:] for line in summary_lines(self.quality))
        return found or (f"Nothing found in {self.quality.slices} slices by the quality checks.",)


def build_report(
    study: Study,
    segmentation: Segmentation,
    *,
    config: ReportConfig,
    info: WeightsInfo | None = None,
    quality: QualityReport | None = None,
    lobes: Lobes | None = None,
    notes: str = "",
    annotations: Sequence[Annotation] = (),
    on_progress: OnProgress = ignore_progress,
    should_cancel: ShouldCancel = never_cancel,
) -> Report:
    """Measures the scan and draws its key slices.

    Args:
        info: the weights that made the segmentation, where they are still there.
        quality: the checks' findings, where they are known already.
        lobes: of the lung mask, where they are known already.
        notes, annotations: what a person has written on the scan and placed on its slices.
        on_progress: called with what is being measured.

    Raises:
        Cancelled: the person asked to stop.
    """
    volume, masks = study.volume, segmentation.masks
    lobes = lobes or find_lobes(masks.lung, volume)
    callbacks: dict[str, Any] = {"on_progress": on_progress, "should_cancel": should_cancel}
    found = compute_biomarkers(volume, masks, lobes=lobes, **callbacks)
    quality = quality or check_scan(volume, QualityConfig(), **callbacks)
    quality = quality.trusting_lung(slices_with_lung(masks, study.truth))
    on_progress("comparing with the truth", 0, 1)
    agreement = _agreement(study, segmentation, info, should_cancel)
    compared = agreement is not None and not volume.spacing_nominal
    raise_if_cancelled(should_cancel, "drawing key slices")
    on_progress("drawing key slices", 0, 1)
    stamp = "SYNTHETIC" if study.synthetic else ""
    pictures = _pictures(study, segmentation, quality, annotations, stamp)
    on_progress("drawing key slices", 1, 1)
    return Report(
        config=config,
        facts=_facts(study, config, segmentation.by_hand),
        settings=_settings(segmentation, info),
        stamp=stamp,
        biomarkers=found,
        lobes=lobes,
        pictures=pictures,
        profile=measure_profile(study, masks),
        agreement=agreement,
        quality=quality,
        warnings=_warnings(volume, segmentation, found),
        methods=describe_methods(study, segmentation, found, info, surfaces_compared=compared),
        by_hand=segmentation.by_hand,
        notes=notes.strip(),
        marks=_marks(annotations, volume),
        limitations=LIMITATIONS if segmentation.by_network else HAND_LIMITATIONS,
    )


def _pictures(
    study: Study,
    segmentation: Segmentation,
    quality: QualityReport,
    annotations: Sequence[Annotation],
    stamp: str,
) -> tuple[KeySlice, ...]:
    return draw_key_slices(
        study,
        segmentation.masks,
        damaged=quality.damaged_slices,
        stamp=stamp,
        quarter_turns=segmentation.record.quarter_turns,
        annotations=annotations,
    )


def _warnings(volume: Volume, segmentation: Segmentation, found: Biomarkers) -> tuple[str, ...]:
    return (*volume.warnings, *segmentation.warnings, *found.notes, *mask_file_notes(volume))


def _marks(annotations: Sequence[Annotation], volume: Volume) -> tuple[tuple[str, str], ...]:
    """In the order of planes and slices, with the numbers that stand in the key slices."""
    return tuple(
        (
            f"{number} · {one.plane.capitalize()} {one.index + 1}",
            ", ".join(
                word
                for word in (one.kind.capitalize(), measured_text(one, volume), one.text)
                if word
            ),
        )
        for number, one in ordered_marks(annotations)
    )


def scan_name(study: Study, *, show_file_name: bool) -> str:
    """What to call the scan: its kind, unless the name is ours or asked for."""
    source = study.volume.source
    if source.format == "generated" or study.synthetic:
        return "Synthetic demo study"
    if source.format == "dicom" or not show_file_name:
        return _KINDS[source.format]
    return shown_name(study.case_id or source.name)


def _facts(
    study: Study, config: ReportConfig, by_hand: HandCorrection | None
) -> tuple[tuple[str, str], ...]:
    volume = study.volume
    size = " × ".join(map(str, volume.shape))
    spacing = "not known"
    if not volume.spacing_nominal:
        spacing = " × ".join(f"{length:.2f}" for length in volume.spacing_mm) + " mm"
    facts = dict(volume.source.facts)
    kept = [
        (name, facts[name])
        for name in ("Slice thickness", "Kernel", "Tube voltage")
        if name in facts
    ]
    scale = "HU" if volume.unit == "HU" else f"not HU ({volume.intensity.reason})"
    return (
        ("Scan", scan_name(study, show_file_name=config.show_file_name)),
        ("Size", f"{size} voxels (left, back, head)"),
        ("Voxel", spacing),
        ("File axes", volume.file_orientation),
        ("Values", scale),
        *kept,
        ("Truth", _truth_words(study)),
        *(() if by_hand is None else (("Masks", by_hand.text),)),
        ("Fingerprint", volume.digest[:12]),
    )


def _truth_words(study: Study) -> str:
    truth = study.truth
    known = [c for c in CHANNELS if truth is not None and getattr(truth, c) is not None]
    return " and ".join(known) if known else "not known"


def _settings(segmentation: Segmentation, info: WeightsInfo | None) -> tuple[tuple[str, str], ...]:
    if not segmentation.by_network:
        return (("Weights", "none: no network has run"), ("Program", f"LungLens {__version__}"))
    used = segmentation.config.postprocess
    preprocess = segmentation.config.preprocess
    return (
        ("Weights", segmentation.weights_id),
        (
            "SHA-256",
            info.sha256 if info is not None else "not known: the weights are no longer installed",
        ),
        ("Thresholds", f"lung {used.lung_threshold:.2f}, infection {used.infection_threshold:.2f}"),
        ("Preprocessing", "that of the weights" if preprocess is None else "chosen by hand"),
        ("Device", segmentation.device),
        ("Program", f"LungLens {__version__}"),
    )


def _agreement(
    study: Study,
    segmentation: Segmentation,
    info: WeightsInfo | None,
    should_cancel: ShouldCancel,
) -> Agreement | None:
    truth, predicted, volume = study.truth, segmentation.masks, study.volume
    if truth is None:
        return None
    scores: dict[Channel, dict[str, float]] = {}
    for channel in CHANNELS:
        mask_true, mask_pred = getattr(truth, channel), getattr(predicted, channel)
        if mask_true is None or mask_pred is None:
            continue
        raise_if_cancelled(should_cancel, "comparing with the truth")
        scores[channel] = asdict(compute_overlap(mask_true, mask_pred))
        if not volume.spacing_nominal:
            surfaces = compute_surface_agreement(
                mask_true,
                mask_pred,
                spacing_mm=volume.spacing_mm,
                tolerance_mm=EvaluateConfig().surface_tolerance_mm,
            )
            scores[channel].update(asdict(surfaces))
    if not scores:
        return None
    case = case_of_scan(study.case_id or volume.source.name)
    by_hand = segmentation.by_hand
    return Agreement(
        scores, side_sentence(case, info) if by_hand is None else _hand_sentence(by_hand)
    )


def _hand_sentence(by_hand: HandCorrection) -> str:
    return (
        f"The masks were {by_hand.text}: these values show how well the person agrees with the "
        "truth; they do not describe the network."
    )


def with_config(report: Report, study: Study, config: ReportConfig) -> Report:
    """The same report under another date, name or show of the file's name; nothing is measured."""
    return replace(report, config=config, facts=_facts(study, config, report.by_hand))
