"""Generated patients to train on where no real ones are available.

They differ in vessels, disease and noise but share one anatomy, so a network trained on them
recognises generated chests and nothing else.
"""

from __future__ import annotations

from pathlib import Path

from core.config import DEMO_CASES
from core.output import save_mask, save_volume
from core.phantom import build_demo_study
from core.system import OnProgress, ignore_progress, write_text

_SHAPE = (192, 192, 48)
_FIRST_SEED = 101


def write_demo_patients(folder: Path, *, on_progress: OnProgress = ignore_progress) -> Path:
    """The generated patients in the layout of the 20-case set; those already there are kept.

    Args:
        on_progress: called with "generating patients" with patients done.

    Raises:
        LoadError, SaveError: the folder cannot be written into.
    """
    for number, case_id in enumerate(DEMO_CASES):
        on_progress("generating patients", number, len(DEMO_CASES))
        scan = folder / "ct_scans" / f"{case_id}.nii.gz"
        if scan.is_file():
            continue
        study = build_demo_study(seed=_FIRST_SEED + number, shape=_SHAPE)
        assert study.truth is not None
        for kind in ("lung", "infection"):
            mask = getattr(study.truth, kind)
            save_mask(mask, study.volume, folder / f"{kind}_mask" / f"{case_id}.nii.gz")
        # Last, so that an existing case is complete.
        save_volume(study.volume, scan)
    rows = [
        ",".join(f"{kind}/{case_id}.nii.gz" for kind in ("ct_scans", "lung_mask", "infection_mask"))
        for case_id in DEMO_CASES
    ]
    write_text(folder / "metadata.csv", "\n".join(["ct_scan,lung_mask,infection_mask", *rows, ""]))
    return folder
