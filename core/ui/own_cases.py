"""Corrected scans of this machine as cases that Train and Evaluate offer."""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st

from core.errors import LungLensError, shown_name
from core.loading import case_of_scan
from core.output import add_training_case, list_training_cases, remove_training_case
from core.ui.data_folder import load_cases
from core.ui.projects import projects_folder
from core.ui.session import OpenStudy, set_notice
from core.ui.text import escape_markdown

_FOLDER = "own-cases"
_WHAT = (
    "The scan and its masks are copied into a folder of this machine, in the layout of the 20-case "
    "set. Train and Evaluate offer it beside the other cases."
)


def own_cases_folder() -> Path | None:
    """Where own cases lie; none where nothing is kept or none was made yet."""
    folder = _folder()
    return folder if folder is not None and list_training_cases(folder) else None


def _folder() -> Path | None:
    projects = projects_folder()
    return None if projects is None else projects / _FOLDER


def show_training_case(current: OpenStudy) -> None:
    """Makes a training case of the open scan with its corrected masks."""
    folder, masks = _folder(), current.corrected
    if folder is None or masks is None or current.study.synthetic:
        return
    with st.popover("Use as a training case", icon=":material/school:"):
        st.caption(_WHAT)
        patient = ""
        public = case_of_scan(current.name)
        if public.patient_id == public.case_id:
            patient = st.text_input(
                "Patient, under a pseudonym",
                value=_suggested(folder),
                key=f"case-patient-{current.token}",
                max_chars=30,
                help="Lower-case letters, digits, hyphens. The same for all scans of one patient, "
                "so that they stay on one side of a split. Not the patient's name.",
            ).strip()
        else:
            patient = re.sub("[^a-z0-9-]", "-", public.patient_id.lower())
        if st.button("Add to the training cases", key=f"case-add-{current.token}"):
            try:
                with st.spinner("Writing the case…"):
                    name = add_training_case(
                        folder,
                        current.study,
                        masks,
                        patient=patient,
                        by_hand=current.correction.record,
                    )
                load_cases.clear()
                set_notice(
                    "success", f"Training case {name} can now be chosen on Train and Evaluate."
                )
            except LungLensError as error:
                set_notice("error", str(error))
            st.rerun(scope="app")


def show_own_cases() -> None:
    """The cases that there are, and deleting them."""
    folder = own_cases_folder()
    if folder is None:
        return
    known = list_training_cases(folder)
    with st.expander(f"Own training cases ({len(known)})", icon=":material/school:"):
        for case_id, facts in known.items():
            with st.container(horizontal=True, vertical_alignment="center"):
                words = f"{shown_name(case_id)}: masks {facts.get('masks', 'not known')}"
                st.markdown(escape_markdown(words), width="stretch")
                if st.button("Delete", key=f"case-delete-{case_id}", icon=":material/delete:"):
                    try:
                        remove_training_case(folder, case_id)
                    except LungLensError as error:
                        set_notice("error", str(error))
                    load_cases.clear()
                    st.rerun()


def _suggested(folder: Path) -> str:
    patients = {str(facts.get("patient")) for facts in list_training_cases(folder).values()}
    number = 1
    while f"own_p{number}" in patients:
        number += 1
    return f"p{number}"
