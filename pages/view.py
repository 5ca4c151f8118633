"""View: the scan slice by slice, what a network marks in it, and what a classifier says of it."""

from core.ui.classify.part import show_classify
from core.ui.navigation import BROWSE, CLASSIFY, SEGMENT, VIEW_PAGE
from core.ui.page import begin_parts, need_study
from core.ui.scan.browse import show_browse
from core.ui.segment.part import show_segment

PARTS = {BROWSE: show_browse, SEGMENT: show_segment, CLASSIFY: show_classify}

part = begin_parts(
    "View",
    VIEW_PAGE,
    leads={
        CLASSIFY: "**Experimental.** The probability of COVID-19 in the open scan or picture as "
        "predicted by a network, with its limits: never a yes or no, and **not a diagnosis**.",
    },
)
current = need_study()
PARTS[part](current)
