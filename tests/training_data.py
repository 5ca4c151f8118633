"""A tiny data folder in the layout of the real one: cases, pictures, infection-free slices."""

from __future__ import annotations

from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import numpy.typing as npt

from core.config import AugmentConfig, ModelConfig, PreprocessConfig, TrainConfig

CASES = (
    "coronacases_org_001",
    "coronacases_org_002",
    "coronacases_org_003",
    "radiopaedia_org_covid-19-pneumonia-10_85902_1-dcm",
    "radiopaedia_org_covid-19-pneumonia-10_85902_3-dcm",
    "radiopaedia_org_covid-19-pneumonia-4_85506_1-dcm",
)
PATIENTS = ("coronacases_001", "coronacases_002", "coronacases_003")
PATIENTS += ("radiopaedia_10", "radiopaedia_4")
SHAPE = (60, 44, 4)

UNCHANGED = AugmentConfig(
    flip=False,
    rotation_degrees=0.0,
    zoom=0.0,
    shift=0.0,
    brightness=0.0,
    contrast=0.0,
    gamma=0.0,
    noise=0.0,
    blur=False,
)
"""Augmentation that leaves slices as they are."""

TINY = TrainConfig(
    model=ModelConfig(depth=1, width=4),
    preprocess=PreprocessConfig(rows=32, columns=48),
    augment=AugmentConfig(),
    epochs=2,
    batch_size=16,
    learning_rate=3e-3,
    warmup_epochs=1,
    validation_fraction=0.3,
    slices_per_patient=0,
    negatives_per_epoch=3,
    pictures_per_epoch=2,
    average_momentum=0.9,
    precision="float32",
)
"""Few layers and few steps: without a graph each layer and each variable of the optimizer costs
milliseconds a step, whatever its size."""


def chest_and_masks(
    seed: int,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """HU (i, j, k) along L, P, S with true lungs and infection; the lesion's place varies."""
    generator = np.random.default_rng(seed)
    i, j = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE[:2]), indexing="ij")
    lung = np.zeros(SHAPE, dtype=bool)
    infection = np.zeros(SHAPE, dtype=bool)
    hu = np.full(SHAPE, -1000.0)
    side, high = generator.choice([-1, 1]), generator.uniform(-0.2, 0.4)
    for k in range(SHAPE[2]):
        hu[(i / 0.92) ** 2 + (j / 0.85) ** 2 < 1, k] = 40.0
        lung[:, :, k] = ((np.abs(i) - 0.42) / 0.3) ** 2 + ((j + 0.05) / (0.55 + 0.02 * k)) ** 2 < 1
        lesion = ((i - side * 0.5) / 0.18) ** 2 + ((j - high) / 0.25) ** 2 < 1
        infection[:, :, k] = lesion & lung[:, :, k]
    hu[lung] = -850.0
    hu[infection] = -350.0
    hu += generator.normal(0, 15, SHAPE)
    return np.rint(hu).astype(np.int16), lung, infection


def grey_of(hu: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """As an 8-bit export of [-1250, 250] HU."""
    return np.clip(np.rint((hu + 1250.0) * 255 / 1500), 0, 255).astype(np.uint8)


def write_training_folder(folder: Path) -> Path:
    """`covid20` with six scans of five patients, four MedSeg pictures, six slices of three LUNA
    patients, and a healthy chest."""
    affine = np.diag([-5.0, -6.0, 8.0, 1.0])
    cases = folder / "covid20"
    rows = ["ct_scan,lung_mask,infection_mask,lung_and_infection_mask"]
    for seed, case_id in enumerate(CASES):
        hu, lung, infection = chest_and_masks(seed)
        scan = hu if case_id.startswith("coronacases") else grey_of(hu)
        written = []
        for kind, name, array in (
            ("ct_scans", case_id, scan),
            ("lung_mask", case_id, lung.astype(np.uint8)),
            ("infection_mask", case_id, infection.astype(np.uint8)),
        ):
            path = cases / kind / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, affine), path)
            written.append(f"../input/covid19-ct-scans/{kind}/{name}.nii")
        rows.append(",".join([*written, ""]))
    (cases / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    _write_pictures(folder / "medseg100_train")
    _write_negatives(folder / "luna_slices")
    healthy = chest_without_infection(90)
    path = folder / "covid_ct_md" / "normal001.nii.gz"
    path.parent.mkdir(parents=True)
    nib.save(nib.Nifti1Image(healthy, affine), path)
    return folder


def chest_without_infection(seed: int) -> npt.NDArray[np.int16]:
    """HU (i, j, k) of a chest as above with clear lungs."""
    hu, _, infection = chest_and_masks(seed)
    hu[infection] = -850
    return hu


def _write_pictures(folder: Path) -> None:
    for kind in ("images", "infection_mask"):
        (folder / kind).mkdir(parents=True)
    for number in range(4):
        hu, _, infection = chest_and_masks(20 + number)
        # Stored a quarter turn anticlockwise, so that one clockwise puts them upright.
        picture = np.rot90(grey_of(hu)[:, :, 1].T)
        mask = np.rot90(infection[:, :, 1].T).astype(np.uint8) * 255
        cv2.imwrite(str(folder / "images" / f"{number}.jpg"), picture)
        cv2.imwrite(str(folder / "infection_mask" / f"{number}.png"), mask)


def _write_negatives(folder: Path) -> None:
    folder.mkdir(parents=True)
    for patient in range(3):
        grey = grey_of(chest_without_infection(40 + patient))
        for k in (0, 2):
            path = folder / f"1.3.6.{patient}.mhd_{k}.webp"
            cv2.imwrite(str(path), np.ascontiguousarray(grey[:, :, k].T))
