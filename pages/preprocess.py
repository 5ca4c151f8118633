"""Preprocess: tune contrast and region of interest, and see at once what they do."""

from core.ui.navigation import ENHANCE, PREPROCESS_PAGE, REGION
from core.ui.page import begin_parts, need_study
from core.ui.preprocess.parts import show_enhance, show_region

PARTS = {ENHANCE: show_enhance, REGION: show_region}

part = begin_parts(
    "Preprocess",
    PREPROCESS_PAGE,
    leads={
        ENHANCE: "The network's input is computed in steps: crop, window, contrast, resize. Here "
        "window and contrast are tuned on one slice of the open scan, with the same functions "
        "that compute the network's input.",
        REGION: "A threshold separates tissue from air; the largest piece of tissue is the body, "
        "and the air it encloses shows the lungs. No network is used. What lies outside can be "
        "cropped away.",
    },
)
current = need_study()
PARTS[part](current)
