"""Pictures for classification, opened whatever they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import LoadError
from core.loading import grey_intensity, load_pictures, load_unfit_picture
from core.volume import Volume, volume_from_file


@dataclass(frozen=True, eq=False)
class OpenedPicture:
    """A picture as a volume of one slice, and what is wrong with it as a CT slice."""

    volume: Volume
    complaint: str = ""


def open_picture(path: Path) -> OpenedPicture:
    """A picture for classification. One that can be read but is no CT slice (colour, one grey
    level, several pages, tiny) comes with a complaint instead of an error.

    Raises:
        LoadError: it cannot be read at all.
    """
    try:
        return OpenedPicture(load_pictures([path]))
    except LoadError as error:
        grey = load_unfit_picture(path)
        if grey is None:
            raise
        volume = volume_from_file(
            np.asfortranarray(grey.T[:, :, None]),
            np.diag([-1.0, -1.0, 1.0, 1.0]),
            intensity=grey_intensity(),
            name=path.stem,
            format="pictures",
            spacing_nominal=True,
        )
        return OpenedPicture(volume, complaint=str(error))
