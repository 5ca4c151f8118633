"""The 20-case set in Kaggle's and in Zenodo's layout."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core.errors import LoadError
from core.loading import is_case_folder, load_case, load_case_table, open_study
from core.loading.case_table import patient_of
from tests.scans import chest_hu, nifti_bytes, small_affine

KAGGLE_SCANS = (
    "coronacases_org_001",
    "radiopaedia_org_covid-19-pneumonia-10_85902_1-dcm",
    "radiopaedia_org_covid-19-pneumonia-10_85902_3-dcm",
)
MASKS = ("coronacases_001", "radiopaedia_10_85902_1", "radiopaedia_10_85902_3")


def lung() -> np.ndarray:
    return (chest_hu() < -700).astype(np.uint8)


def infection() -> np.ndarray:
    mask = np.zeros_like(lung())
    mask[10:14, 18:22] = 1
    return mask & lung()


def write(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, small_affine() if affine is None else affine), path)


def kaggle_folder(folder: Path, *, table: bool = True, gz: bool = True) -> Path:
    ending = ".nii.gz" if gz else ".nii"
    rows = ["ct_scan,lung_mask,infection_mask,lung_and_infection_mask"]
    for scan, mask in zip(KAGGLE_SCANS, MASKS, strict=True):
        write(folder / "ct_scans" / f"{scan}{ending}", chest_hu())
        write(folder / "lung_mask" / f"{mask}{ending}", lung())
        write(folder / "infection_mask" / f"{mask}{ending}", infection())
        labels = lung() + 2 * infection()
        write(folder / "lung_and_infection_mask" / f"{mask}{ending}", labels)
        start = "../input/covid19-ct-scans"
        rows.append(
            f"{start}/ct_scans/{scan}.nii,{start}/lung_mask/{mask}.nii,"
            f"{start}/infection_mask/{mask}.nii,{start}/lung_and_infection_mask/{mask}.nii"
        )
    if table:
        (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.parametrize("gz", [True, False], ids=["gzipped", "plain"])
@pytest.mark.parametrize("table", [True, False], ids=["with table", "by names"])
def test_cases_with_their_masks(table: bool, gz: bool, tmp_path: Path) -> None:
    folder = kaggle_folder(tmp_path / "set", table=table, gz=gz)
    assert is_case_folder(folder)
    cases = load_case_table(folder)
    assert tuple(case.case_id for case in cases) == KAGGLE_SCANS
    assert [case.patient_id for case in cases] == [
        "coronacases_001", "radiopaedia_10", "radiopaedia_10"
    ]  # fmt: skip
    for case in cases:
        assert None not in (case.lung_path, case.infection_path, case.label_path)
    study = load_case(cases[1])
    assert study.case_id == KAGGLE_SCANS[1]
    np.testing.assert_array_equal(study.volume.array, chest_hu())
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.lung, lung() == 1)
    np.testing.assert_array_equal(study.truth.infection, infection() == 1)


def test_zenodo_names(tmp_path: Path) -> None:
    folder = tmp_path / "zenodo"
    for mask in MASKS:
        write(folder / "COVID-19-CT-Seg_20cases" / f"{mask}.nii.gz", chest_hu())
        write(folder / "Lung_and_Infection_Mask" / f"{mask}.nii.gz", lung() + 2 * infection())
    cases = load_case_table(folder)
    assert [case.case_id for case in cases] == list(MASKS)
    assert cases[0].lung_path is None
    truth = load_case(cases[0]).truth
    assert truth is not None
    np.testing.assert_array_equal(truth.lung, lung() == 1)
    np.testing.assert_array_equal(truth.infection, infection() == 1)


def test_missing_masks_are_none(tmp_path: Path) -> None:
    write(tmp_path / "ct_scans" / "coronacases_org_004.nii.gz", chest_hu())
    (case,) = load_case_table(tmp_path)
    assert (case.lung_path, case.infection_path, case.label_path) == (None, None, None)
    assert load_case(case).truth is None
    np.testing.assert_array_equal(open_study(tmp_path).volume.array, chest_hu())


def test_a_table_cannot_reach_outside(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder / "ct_scans" / "a.nii.gz", chest_hu())
    write(tmp_path / "outside.nii.gz", chest_hu())
    (folder / "metadata.csv").write_text(
        "ct_scan,lung_mask\n"
        "x/../outside.nii.gz,\n"
        f"{tmp_path}/outside.nii.gz,\n"
        "../input/ct_scans/a.nii,../../outside.nii.gz\n"
    )
    (case,) = load_case_table(folder)
    assert case.scan_path == folder / "ct_scans" / "a.nii.gz"
    assert case.lung_path is None


def test_a_table_without_scans_or_columns_is_reported(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("ct_scan\n../x/ct_scans/gone.nii\n")
    with pytest.raises(LoadError, match="holds no case"):
        load_case_table(tmp_path)
    (tmp_path / "metadata.csv").write_text("something,else\n1,2\n")
    with pytest.raises(LoadError, match="no column ct_scan"):
        load_case_table(tmp_path)


def test_a_mask_that_lost_its_affine_is_laid_on_by_voxels(tmp_path: Path) -> None:
    write(tmp_path / "ct_scans" / "coronacases_org_001.nii.gz", chest_hu())
    write(tmp_path / "lung_mask" / "coronacases_001.nii.gz", lung(), np.eye(4))
    study = load_case(load_case_table(tmp_path)[0])
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.lung, lung() == 1)
    assert any("placed on the scan voxel by voxel" in warning for warning in study.volume.warnings)


@pytest.mark.parametrize(
    ("stem", "patient"),
    [
        ("coronacases_org_007", "coronacases_007"),
        ("coronacases_007", "coronacases_007"),
        ("radiopaedia_org_covid-19-pneumonia-29_86490_1-dcm", "radiopaedia_29"),
        ("radiopaedia_org_covid-19-pneumonia-29_86491_1-dcm", "radiopaedia_29"),
        ("radiopaedia_10_85902_3", "radiopaedia_10"),
        ("radiopaedia_4_85506_1", "radiopaedia_4"),
        ("other", "other"),
    ],
)
def test_patients(stem: str, patient: str) -> None:
    assert patient_of(stem) == patient


@pytest.mark.real_data
def test_the_real_set(real_data: Path) -> None:
    cases = load_case_table(real_data / "covid20")
    assert len(cases) == 15
    assert len({case.patient_id for case in cases}) == 13
    for case in cases:
        assert None not in (case.lung_path, case.infection_path, case.label_path)
    study = load_case(cases[0])
    assert study.truth is not None
    assert study.truth.lung is not None
    assert study.truth.infection is not None
    # The lung mask holds air-filled tissue, and infection lies inside it.
    assert np.median(study.volume.array[study.truth.lung]) < -600
    inside = (study.truth.infection & study.truth.lung).sum() / study.truth.infection.sum()
    assert inside > 0.95


def test_a_folder_that_may_not_be_read_is_no_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kaggle_folder(tmp_path / "set")
    (folder / "lost+found").mkdir()
    (tmp_path / "lost+found").mkdir()
    real_iterdir = Path.iterdir

    def forbidding(path: Path) -> object:
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return real_iterdir(path)

    monkeypatch.setattr(Path, "iterdir", forbidding)
    assert not is_case_folder(tmp_path / "lost+found")
    assert not is_case_folder(tmp_path / ("x" * 300))
    assert is_case_folder(folder)
    assert len(load_case_table(folder)) == 3


def test_a_table_that_may_not_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kaggle_folder(tmp_path / "set")

    def forbidding(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", forbidding)
    with pytest.raises(LoadError, match=r"metadata\.csv cannot be opened: got Permission denied"):
        load_case_table(folder)


def test_a_table_of_endless_names_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(f"ct_scan\nct_scans/{'x' * 5000}.nii\n")
    with pytest.raises(LoadError, match="holds no case"):
        load_case_table(tmp_path)


def test_bytes_of_a_scan_are_not_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    path.write_bytes(nifti_bytes(chest_hu()))
    assert not is_case_folder(path)


def _many_rows() -> str:
    return "ct_scan\n" + "a\n" * 1_000_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ct_scan\n" + "x" * 200_000 + "\n", "got line 2, which is not a line of a table"),
        ('ct_scan\n"' + "x" * 200_000, "which is not a line of a table"),
        ("c" * 200_000, "got line 1, which is not a line of a table"),
        (_many_rows(), "has too many rows: got more than 10000"),
        ("", "no column ct_scan"),
        ("\0\0\0\n\0", "cannot be used"),
        ("lung_mask\na\n", "no column ct_scan"),
    ],
    ids=["long cell", "open quote", "long head", "million rows", "empty", "zeros", "other table"],
)
def test_a_table_that_is_none_is_reported_in_one_sentence(
    text: str, message: str, tmp_path: Path
) -> None:
    folder = kaggle_folder(tmp_path / "set", gz=False)
    (folder / "metadata.csv").write_text(text)
    with pytest.raises(LoadError) as caught:
        load_case_table(folder)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_table_that_is_a_folder_is_passed_over(tmp_path: Path) -> None:
    folder = kaggle_folder(tmp_path / "set", table=False, gz=False)
    (folder / "metadata.csv").mkdir()
    assert len(load_case_table(folder)) == 3
