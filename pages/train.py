"""Train: train a network of one's own, follow its results, and see its random changes first."""

from core.ui.navigation import AUGMENTATION, TRAIN, TRAIN_PAGE
from core.ui.page import begin_parts
from core.ui.train.parts import show_augmentation, show_train

PARTS = {TRAIN: show_train, AUGMENTATION: show_augmentation}

part = begin_parts(
    "Train",
    TRAIN_PAGE,
    leads={
        TRAIN: "Train a network of your own on cases with true masks of lung and infection, and "
        "follow its results on validation patients.",
        AUGMENTATION: "In training each slice is rotated, deformed and brightened a little "
        "differently every time. Here are such slices with their masks, computed by the same "
        "layers that training uses.",
    },
)
PARTS[part]()
