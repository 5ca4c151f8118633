"""How the measurements were made, ready to paste into a paper, with its references."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata

from core import __version__
from core.config import ModelConfig, PreprocessConfig
from core.measuring.biomarkers import Biomarkers
from core.measuring.quality import slice_ranges
from core.output.report.references import (
    AERATION,
    CATEGORIES,
    DICE,
    EFFICIENTNET,
    ENSEMBLE,
    LOBE_MAPS,
    LOBE_SCORE,
    LUNGLENS,
    SURFACE_DICE,
    TRAINING_SET,
    UNET,
    UNETPP,
    ZONE_GRADES,
    Reference,
)
from core.segmentation import Segmentation, WeightsInfo, share_of_neighbours
from core.system import THIN_SPACE, short_percent_text, short_text, size_text
from core.volume import Study, Volume

LIMITATIONS = (
    "Research software, not a medical device: masks and measurements may be wrong and no treatment "
    "may be based on them.",
    "The network marks opacities; it does not know what caused them. Other disease, atelectasis, "
    "vessels and breathing artefacts may be marked as infection.",
    "It sees axial slices and was trained on few patients and scanners; other protocols, "
    "contrast medium and children were not part of its training.",
    "Zones are thirds of a lung's volume, not lobes; the zonal score is not a lobar score and the "
    "category follows published cut-offs by computed share, not a radiologist's reading.",
)


HAND_LIMITATIONS = (
    LIMITATIONS[0],
    "The masks are one person's reading; two experts agree on infection at a Dice of about 0.77.",
    LIMITATIONS[3],
)
"""Of masks that were drawn without a network."""


@dataclass(frozen=True)
class Methods:
    """The paragraph, its references in order of first mention, and versions used."""

    paragraph: str
    references: tuple[Reference, ...]

    @property
    def bibtex(self) -> str:
        """All entries."""
        return "\n\n".join(reference.bibtex for reference in self.references) + "\n"

    @property
    def text(self) -> str:
        """Paragraph and numbered references as plain text."""
        listed = [
            f"[{n}] {ref.short}" + (f" doi:{ref.doi}" if ref.doi else "")
            for n, ref in enumerate(self.references, 1)
        ]
        return "\n".join([self.paragraph, "", *listed, ""])


def describe_methods(
    study: Study,
    segmentation: Segmentation,
    found: Biomarkers,
    info: WeightsInfo | None,
    *,
    surfaces_compared: bool,
) -> Methods:
    """Written from the settings of the run itself."""
    cited: list[Reference] = []

    def cite(*works: Reference) -> str:
        for work in works:
            if work not in cited:
                cited.append(work)
        return "[" + ", ".join(str(cited.index(work) + 1) for work in works) + "]"

    if segmentation.by_network:
        sentences = _segmented_words(study, segmentation, info, cite)
    else:
        sentences = [
            f"{_scan_words(study)} lung and infection were drawn by hand in LungLens "
            f"{__version__} {cite(LUNGLENS)}."
        ]
    sentences.append(_biomarker_words(found, study.volume, cite))
    if study.truth is not None:
        words = f"Agreement with the reference masks is given as Dice coefficient {cite(DICE)}, "
        words += "intersection over union, precision and recall over all voxels"
        if surfaces_compared:
            words += (
                f", 95th percentile surface distance and surface Dice at 2 mm {cite(SURFACE_DICE)}"
            )
        sentences.append(words + ".")
    sentences.append(f"Software: {', '.join(_versions(segmentation))}.")
    return Methods(" ".join(sentence for sentence in sentences if sentence), tuple(cited))


def _segmented_words(
    study: Study,
    segmentation: Segmentation,
    info: WeightsInfo | None,
    cite: Callable[..., str],
) -> list[str]:
    """How a network came to the masks, and what a person changed in them."""
    model = info.model if info is not None else ModelConfig()
    weights = segmentation.weights_id
    if info is not None:
        weights += f", sha256 {info.sha256[:12]}"
    sentences = [
        f"{_scan_words(study)} lung and infection were segmented with LungLens {__version__} "
        f"{cite(LUNGLENS)}, {_network_words(model, cite)}, applied to every axial slice (weights "
        f"{weights}; {segmentation.device}).",
        _preprocess_words(segmentation, info),
        _postprocess_words(segmentation, study.volume),
    ]
    if segmentation.by_hand is not None:
        sentences.append(
            f"The masks were then {segmentation.by_hand.text} in LungLens; all measurements are "
            "those of the corrected masks."
        )
    if _learned_from_public_set(info):
        sentences.append(
            f"The network was trained on scans of the public 20-case set {cite(TRAINING_SET)} "
            "and further slices."
        )
    return sentences


def _network_words(model: ModelConfig, cite: Callable[[Reference], str]) -> str:
    name, work = ("U-Net++", UNETPP) if model.architecture == "unetpp" else ("U-Net", UNET)
    if model.members > 1:
        averaged = f"the mean probability {cite(ENSEMBLE)} of {model.members} two-dimensional"
        return f"{averaged} {name}s {cite(work)} with one sigmoid output for each target"
    encoder = ""
    if model.encoder != "plain":
        encoder = f" on an EfficientNet-{model.encoder.capitalize()} encoder {cite(EFFICIENTNET)}"
    return f"a two-dimensional {name} {cite(work)}{encoder} with one sigmoid output for each"


def _scan_words(study: Study) -> str:
    volume = study.volume
    size = size_text(volume.shape)
    kind = "a generated (synthetic) chest CT" if study.synthetic else "a chest CT"
    if volume.source.format == "pictures":
        kind = "pictures of a chest CT"
    spacing = "voxel size not known"
    if not volume.spacing_nominal:
        spacing = size_text(f"{length:.3g}" for length in volume.spacing_mm) + " mm"
    scale = "in HU" if volume.unit == "HU" else "not in HU, taken to show a lung window"
    return f"In {kind} ({size} voxels, {spacing}, values {scale})"


def _preprocess_words(segmentation: Segmentation, info: WeightsInfo | None) -> str:
    used: PreprocessConfig | None = segmentation.config.preprocess
    if used is None and info is not None:
        used = info.preprocess
    if used is None:
        return ""
    crop = {
        "body": f"cropped to the body by Otsu's threshold with a margin of {used.margin_mm:g} mm, ",
        "lungs": f"cropped to the lungs by their air with a margin of {used.margin_mm:g} mm, or to "
        "the body where they could not be found, ",
        "none": "",
    }[used.crop]
    enhance = {
        "window": "",
        "clahe": f", equalised by CLAHE (clip limit {used.enhance.clip_limit:g}, "
        f"{used.enhance.tile_grid} × {used.enhance.tile_grid} tiles)",
        "equalize": ", equalised globally",
        "gamma": f", raised to a gamma of {used.enhance.gamma:g}",
        "unsharp": f", sharpened (radius {used.enhance.unsharp_radius:g}, amount "
        f"{used.enhance.unsharp_amount:g})",
    }[used.enhance.method]
    stretched = ""
    if segmentation.record.stretch is not None:
        off = slice_ranges(segmentation.record.stretch.slices_off)
        stretched = (
            f"Slices {off}, whose grey levels differed from the rest of the scan, were rescaled "
            "to it. "
        )
    smooth = (
        f" and smoothed (Gaussian, sigma {used.smooth_sigma:g} pixels)" if used.smooth_sigma else ""
    )
    return (
        f"{stretched}Slices were {crop}windowed (centre {short_text(used.window_center)} HU, width "
        f"{used.window_width:g} HU){enhance}, resized to {used.rows} × {used.columns} "
        f"pixels{smooth}."
    )


def _postprocess_words(segmentation: Segmentation, volume: Volume) -> str:
    used = segmentation.config.postprocess
    blended = ""
    if share := share_of_neighbours(volume, used):
        blended = f"averaged with those of the neighbouring slices (share {share:.2g}), "
    turned = ""
    if turns := segmentation.record.quarter_turns:
        turned = f"The pictures were turned by {90 * turns}° beforehand. "
    return (
        f"{turned}Probabilities were {blended}restored to the scan's own grid and thresholded at "
        f"{used.lung_threshold:.2f} (lung) and {used.infection_threshold:.2f} (infection); parts "
        f"of lung below {short_percent_text(used.min_lung_part_fraction)} of all lung were dropped "
        f"and holes up to {short_percent_text(used.max_hole_fraction)} of a slice's lung filled."
    )


def _biomarker_words(found: Biomarkers, volume: Volume, cite: Callable[[Reference], str]) -> str:
    config = found.config
    one, two, three = (f"{100 * share:.3g}" for share in config.score_shares)
    words = "The infected share is infected lung divided by lung"
    if volume.source.format != "pictures":
        words += (
            "; each lung was divided into thirds of its volume, and every zone graded 0 to 4 by "
            f"its infected share (cut-offs {100 * config.affected_share:.3g}, {one}, {two}, "
            f"{three}{THIN_SPACE}%) "
            f"after {cite(ZONE_GRADES)}"
        )
    if found.lobes:
        words += (
            "; the five lobes were estimated from the shape of the lungs by a network "
            f"trained on label maps of {cite(LOBE_MAPS)}, and the CT severity score of 0 to 25 "
            f"follows {cite(LOBE_SCORE)}"
        )
    words += f"; the category by the same cut-offs follows {cite(CATEGORIES)}"
    if volume.unit == "HU":
        words += (
            f"; lung counts as well aerated from {short_text(config.well_aerated_from_hu)} to "
            f"{short_text(config.poorly_aerated_from_hu)} HU, poorly to "
            f"{short_text(config.non_aerated_from_hu)} HU, non-aerated above {cite(AERATION)}, "
            f"infected lung as ground glass from {short_text(config.ground_glass_from_hu)} to "
            f"{short_text(config.consolidation_from_hu)} HU and as consolidation above"
        )
    return words + "."


def _learned_from_public_set(info: WeightsInfo | None) -> bool:
    # A manifest made by hand may record no split.
    split = info.manifest.get("split") if info is not None else None
    train = split.get("train") if isinstance(split, dict) else None
    patients = train.get("patients") if isinstance(train, dict) else None
    known = patients if isinstance(patients, list) else []
    return any(str(p).startswith(("coronacases_", "radiopaedia_")) for p in known)


def _versions(segmentation: Segmentation) -> Sequence[str]:
    packages = ["numpy", "scipy"]
    if segmentation.by_network:
        with_openvino = "OpenVINO" in segmentation.device
        packages += ["openvino"] if with_openvino else ["keras", "tensorflow"]
    versions = [f"LungLens {__version__}", f"Python {platform.python_version()}"]
    for package in packages:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return versions
