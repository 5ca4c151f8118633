"""A corrected scan as a case to train on, in the layout of the public 20-case set.

Beside the folders of scans and masks lies `cases.json`: of each case the fingerprint of its scan,
its patient, and how the masks came about. A scan that is added again takes the place of its case.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.config import CHANNELS, NotJson, read_json
from core.correction import HandCorrection
from core.errors import SaveError
from core.loading import case_of_scan
from core.output.saving import mask_nifti_bytes, save_volume
from core.system import json_text, write_bytes, write_text
from core.volume import MaskPair, Study

CASES_JSON = "cases.json"
_FOLDERS = {"lung": "lung_mask", "infection": "infection_mask"}
_PATIENT = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
_writing = threading.Lock()


def add_training_case(
    folder: Path, study: Study, masks: MaskPair, *, patient: str, by_hand: HandCorrection | None
) -> str:
    """Adds a scan with its masks, or puts it in the place of the same scan; gives the case's name.

    A scan of the public set keeps its name, by which its patient is known everywhere.

    Args:
        patient: a pseudonym of small letters, digits and hyphens; the same for all scans of one
            patient, which then stay on one side of a split.
        by_hand: how a person corrected the masks; none where they are true masks.

    Raises:
        SaveError: a mask is missing, the pseudonym cannot be used, or nothing can be written.
    """
    missing = [channel for channel in CHANNELS if getattr(masks, channel) is None]
    if missing:
        raise SaveError(
            "A training case needs both masks",
            got=f"no mask of the {missing[0]}",
            expected="lung and infection",
            next_step="draw it, or let the network mark the scan first",
        )
    if not _PATIENT.fullmatch(patient):
        raise SaveError(
            "This name cannot be used for a patient",
            got=f"{len(patient)} characters",
            expected="1 to 30 small letters, digits or hyphens, and nobody's name",
        )
    with _writing:
        known = dict(list_training_cases(folder))
        case_id = _case_id(known, study, patient)
        save_volume(study.volume, folder / "ct_scans" / f"{case_id}.nii.gz")
        note = "true mask" if by_hand is None else by_hand.text
        for channel, name in _FOLDERS.items():
            content = mask_nifti_bytes(getattr(masks, channel), study.volume, note=note)
            write_bytes(folder / name / f"{case_id}.nii.gz", content)
        known[case_id] = {
            "fingerprint": study.volume.digest,
            "patient": case_of_scan(case_id).patient_id,
            "masks": note,
            "steps": 0 if by_hand is None else by_hand.steps,
        }
        write_text(folder / CASES_JSON, json_text({"version": 1, "cases": known}) + "\n")
    return case_id


def list_training_cases(folder: Path) -> Mapping[str, dict[str, Any]]:
    """What is known of the cases of a folder, by name; empty where there are none."""
    try:
        found = read_json(folder / CASES_JSON)["cases"]
    except (NotJson, KeyError, TypeError):
        return {}
    return {str(name): facts for name, facts in found.items() if isinstance(facts, dict)}


def remove_training_case(folder: Path, case_id: str) -> None:
    """Deletes a case.

    Raises:
        SaveError: there is none of that name, or it cannot be deleted.
    """
    with _writing:
        known = dict(list_training_cases(folder))
        if known.pop(case_id, None) is None:
            raise SaveError("There is no such training case", next_step="reload the page")
        write_text(folder / CASES_JSON, json_text({"version": 1, "cases": known}) + "\n")
        for name in ("ct_scans", *_FOLDERS.values()):
            (folder / name / f"{case_id}.nii.gz").unlink(missing_ok=True)
        if not known:
            shutil.rmtree(folder, ignore_errors=True)


def _case_id(known: Mapping[str, dict[str, Any]], study: Study, patient: str) -> str:
    public = case_of_scan(study.case_id or study.volume.source.name)
    if public.patient_id != public.case_id:
        return public.case_id
    beginning = f"own_{patient}_"
    for case_id, facts in known.items():
        if facts.get("fingerprint") == study.volume.digest and case_id.startswith(beginning):
            return case_id
    number = 1
    while f"{beginning}{number}" in known:
        number += 1
    return f"{beginning}{number}"
