"""The works that a report cites."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core import __version__


@dataclass(frozen=True)
class Reference:
    """One work cited.

    Attributes:
        key: of its BibTeX entry.
        kind: of entry, such as "article".
        fields: of the entry, in order, in plain Unicode.
        short: for a list of references in a text.
    """

    key: str
    kind: str
    fields: tuple[tuple[str, str], ...]
    short: str

    @property
    def doi(self) -> str:
        """Without the resolver's address; empty where there is none."""
        return dict(self.fields).get("doi", "")

    @property
    def bibtex(self) -> str:
        """The entry."""
        lines = ",\n".join(f"  {name} = {{{_tex(value)}}}" for name, value in self.fields)
        return f"@{self.kind}{{{self.key},\n{lines}\n}}"


def _tex(value: str) -> str:
    return re.sub(r"([&%#_])", r"\\\1", value) if not value.startswith("10.") else value


def _article(
    key: str,
    author: str,
    title: str,
    journal: str,
    year: int,
    *,
    volume: str,
    pages: str,
    doi: str,
    short: str,
) -> Reference:
    fields = (
        ("author", author),
        ("title", title),
        ("journal", journal),
        ("year", str(year)),
        ("volume", volume),
        ("pages", pages),
        ("doi", doi),
    )
    return Reference(key, "article", fields, short)


LUNGLENS = Reference(
    "lunglens",
    "software",
    (
        ("title", "LungLens: open dashboard and command line for COVID-19 in chest CT"),
        ("author", "{LungLens contributors}"),
        ("version", __version__),
        ("note", "Research software, never a diagnosis"),
    ),
    f"LungLens {__version__}, open-source software.",
)
UNET = Reference(
    "ronneberger2015unet",
    "inproceedings",
    (
        ("author", "Ronneberger, Olaf and Fischer, Philipp and Brox, Thomas"),
        ("title", "U-Net: Convolutional Networks for Biomedical Image Segmentation"),
        ("booktitle", "Medical Image Computing and Computer-Assisted Intervention (MICCAI)"),
        ("year", "2015"),
        ("pages", "234--241"),
        ("doi", "10.1007/978-3-319-24574-4_28"),
    ),
    "Ronneberger et al., U-Net. MICCAI 2015:234.",
)
UNETPP = Reference(
    "zhou2018unetpp",
    "inproceedings",
    (
        (
            "author",
            "Zhou, Zongwei and Siddiquee, Md Mahfuzur Rahman and Tajbakhsh, Nima and "
            "Liang, Jianming",
        ),
        ("title", "UNet++: A Nested U-Net Architecture for Medical Image Segmentation"),
        ("booktitle", "Deep Learning in Medical Image Analysis (DLMIA)"),
        ("year", "2018"),
        ("pages", "3--11"),
        ("doi", "10.1007/978-3-030-00889-5_1"),
    ),
    "Zhou et al., UNet++. DLMIA 2018:3.",
)
EFFICIENTNET = Reference(
    "tan2019efficientnet",
    "inproceedings",
    (
        ("author", "Tan, Mingxing and Le, Quoc V."),
        ("title", "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"),
        ("booktitle", "International Conference on Machine Learning (ICML)"),
        ("year", "2019"),
        ("eprint", "1905.11946"),
        ("archiveprefix", "arXiv"),
    ),
    "Tan and Le, EfficientNet. ICML 2019. arXiv:1905.11946.",
)
ENSEMBLE = Reference(
    "lakshminarayanan2017ensembles",
    "inproceedings",
    (
        ("author", "Lakshminarayanan, Balaji and Pritzel, Alexander and Blundell, Charles"),
        (
            "title",
            "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
        ),
        ("booktitle", "Advances in Neural Information Processing Systems"),
        ("year", "2017"),
        ("eprint", "1612.01474"),
        ("archiveprefix", "arXiv"),
    ),
    "Lakshminarayanan et al., NeurIPS 2017. arXiv:1612.01474.",
)
TRAINING_SET = _article(
    "ma2021covid",
    "Ma, Jun and Wang, Yixin and An, Xingle and others",
    "Toward data-efficient learning: A benchmark for COVID-19 CT lung and infection segmentation",
    "Medical Physics",
    2021,
    volume="48",
    pages="1197--1210",
    doi="10.1002/mp.14676",
    short="Ma et al., Med Phys 2021;48:1197.",
)
DICE = _article(
    "dice1945",
    "Dice, Lee R.",
    "Measures of the Amount of Ecologic Association Between Species",
    "Ecology",
    1945,
    volume="26",
    pages="297--302",
    doi="10.2307/1932409",
    short="Dice, Ecology 1945;26:297.",
)
SURFACE_DICE = _article(
    "nikolov2021",
    "Nikolov, Stanislav and Blackwell, Sam and Zverovitch, Alexei and others",
    "Clinically Applicable Segmentation of Head and Neck Anatomy for Radiotherapy: Deep Learning "
    "Algorithm Development and Validation Study",
    "Journal of Medical Internet Research",
    2021,
    volume="23",
    pages="e26151",
    doi="10.2196/26151",
    short="Nikolov et al., J Med Internet Res 2021;23:e26151.",
)
AERATION = _article(
    "gattinoni2001",
    "Gattinoni, Luciano and Caironi, Pietro and Pelosi, Paolo and Goodman, Lawrence R.",
    "What Has Computed Tomography Taught Us about the Acute Respiratory Distress Syndrome?",
    "American Journal of Respiratory and Critical Care Medicine",
    2001,
    volume="164",
    pages="1701--1711",
    doi="10.1164/ajrccm.164.9.2103121",
    short="Gattinoni et al., Am J Respir Crit Care Med 2001;164:1701.",
)
LOBE_SCORE = _article(
    "pan2020",
    "Pan, Feng and Ye, Tianhe and Sun, Peng and others",
    "Time Course of Lung Changes at Chest CT during Recovery from Coronavirus Disease 2019 "
    "(COVID-19)",
    "Radiology",
    2020,
    volume="295",
    pages="715--721",
    doi="10.1148/radiol.2020200370",
    short="Pan et al., Radiology 2020;295:715.",
)
LOBE_MAPS = Reference(
    "tang2019lobes",
    "inproceedings",
    (
        ("author", "Tang, Hao and Zhang, Chupeng and Xie, Xiaohui"),
        ("title", "Automatic Pulmonary Lobe Segmentation Using Deep Learning"),
        ("booktitle", "IEEE International Symposium on Biomedical Imaging"),
        ("year", "2019"),
    ),
    "Tang et al., Automatic Pulmonary Lobe Segmentation Using Deep Learning, ISBI 2019.",
)
ZONE_GRADES = _article(
    "chung2020",
    "Chung, Michael and Bernheim, Adam and Mei, Xueyan and others",
    "CT Imaging Features of 2019 Novel Coronavirus (2019-nCoV)",
    "Radiology",
    2020,
    volume="295",
    pages="202--207",
    doi="10.1148/radiol.2020200230",
    short="Chung et al., Radiology 2020;295:202.",
)
CATEGORIES = Reference(
    "morozov2020mosmed",
    "misc",
    (
        ("author", "Morozov, S. P. and Andreychenko, A. E. and Pavlov, N. A. and others"),
        ("title", "MosMedData: Chest CT Scans With COVID-19 Related Findings Dataset"),
        ("year", "2020"),
        ("eprint", "2005.06465"),
        ("archiveprefix", "arXiv"),
    ),
    "Morozov et al., MosMedData. arXiv:2005.06465.",
)
