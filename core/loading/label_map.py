"""A label map that is opened by itself, without the scan it was drawn on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.config import LoadLimits
from core.errors import shown_name
from core.loading.checks import DEFAULT_LIMITS, check_file
from core.loading.label_codings import check_labels
from core.loading.nifti import nifti_stem, read_voxels
from core.loading.volume_files import read_volume_header
from core.volume import Intensity, Volume, volume_from_file

LABELS = Intensity(unit="unknown", reason="the file holds labels")


def load_label_map(path: Path | str, *, limits: LoadLimits = DEFAULT_LIMITS) -> Volume:
    """A mask or a label map as a `Volume` of uint8 labels, so that results go back on its grid.

    Raises:
        LoadError: the file is not there, damaged, of several frames, or no mask (fractions other
            than probabilities, or more labels than a mask has).
        GeometryError: spacing or affine are unusable.
    """
    path = Path(path)
    check_file(path, expected="a mask")
    header = read_volume_header(path, limits=limits)
    voxels, notes = read_voxels(path, header)
    labels, more = check_labels(shown_name(path.name), voxels)
    volume = volume_from_file(
        np.asarray(labels, dtype=np.uint8),
        header.affine,
        intensity=LABELS,
        name=nifti_stem(path),
        format=header.format,
        facts=(("Format", header.format_fact),),
        spacing_nominal=header.spacing_nominal,
        warnings=header.warnings + notes + more,
    )
    source = replace(
        volume.source,
        trailing_axes=header.trailing_axes,
        file_unit=header.file_unit,
        forms=header.forms,
    )
    return replace(volume, source=source)
