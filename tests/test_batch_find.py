"""Which files of a folder are scans, and what they are called."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.batch import Found, find_scans
from core.batch.places import FORMAT
from core.batch.work import open_found
from core.errors import LoadError
from core.output.saving import save_mask, save_volume
from core.system.records import json_text, write_text
from tests.scans import chest_hu, chest_picture, dicom_series, png_bytes, write_dicom, zip_bytes
from tests.studies import small_truth, small_volume

VOLUME = small_volume()
LUNG = small_truth().lung


def scan(path: Path) -> Path:
    return save_volume(VOLUME, path)


def mask(path: Path) -> Path:
    assert LUNG is not None
    return save_mask(LUNG, VOLUME, path)


def kinds(found: Found) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.kind, one.files) for one in found.scans]


def nested(folder: Path) -> None:
    scan(folder / "b" / "deep" / "two.nii.gz")
    scan(folder / "a10.nii.gz")
    scan(folder / "a9.nii.gz")
    (folder / "notes.txt").write_text("no scan")
    scan(folder / ".hidden" / "three.nii.gz")


def own_outputs(folder: Path) -> None:
    scan(folder / "one.nii.gz")
    mask(folder / "lung_mask.nii.gz")
    mask(folder / "one_infection_mask.nii.gz")
    mask(folder / "renamed.nii.gz")  # known by what its header says
    (folder / "thing_label_map.nii").write_bytes(b"whatever it holds")
    (folder / "profile.png").write_bytes(png_bytes(chest_picture()))


def earlier_batch(folder: Path) -> None:
    scan(folder / "one.nii.gz")
    write_text(folder / "results" / "batch.json", json_text({"format": FORMAT}))
    scan(folder / "results" / "0123456789ab" / "copy.nii.gz")


def kaggle(folder: Path) -> None:
    scan(folder / "set" / "ct_scans" / "coronacases_org_001.nii.gz")
    scan(folder / "set" / "ct_scans" / "coronacases_org_002.nii.gz")
    mask(folder / "set" / "lung_mask" / "coronacases_001.nii.gz")
    mask(folder / "set" / "infection_mask" / "coronacases_001.nii.gz")
    scan(folder / "beside.nii.gz")


def kaggle_with_short_table(folder: Path) -> None:
    scan(folder / "ct_scans" / "one.nii.gz")
    scan(folder / "ct_scans" / "two.nii.gz")
    (folder / "metadata.csv").write_text("ct_scan,lung_mask\n../input/ct_scans/one.nii,\n")


def two_series(folder: Path) -> None:
    write_dicom(dicom_series(chest_hu(), series_uid="1.2.3"), folder / "pat", prefix="A")
    write_dicom(dicom_series(chest_hu(), series_uid="1.2.4"), folder / "pat", prefix="B")
    write_dicom(dicom_series(chest_hu(), series_uid="1.2.5", Modality="MR"), folder / "other")


def split_series(folder: Path) -> None:
    slices = dicom_series(chest_hu(), series_uid="1.2.3")
    write_dicom(slices[:4], folder / "pat" / "1")
    write_dicom(slices[4:], folder / "pat" / "2", prefix="JM")


def pictures_and_zips(folder: Path) -> None:
    for k in (2, 10):
        path = folder / "stack" / f"slice{k}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(png_bytes(chest_picture(k=k % 8)))
    (folder / "stack" / "slice2_lung.png").write_bytes(png_bytes(chest_picture()))
    packed = scan(folder / "tmp.nii.gz").read_bytes()
    (folder / "tmp.nii.gz").unlink()
    (folder / "scan.zip").write_bytes(zip_bytes([("scan.nii.gz", packed)]))
    (folder / "masks.zip").write_bytes(zip_bytes([("lung_mask.nii.gz", packed)]))


def links(folder: Path) -> None:
    outside = folder.parent / f"{folder.name}-outside"
    scan(outside / "secret.nii.gz")
    scan(folder / "one.nii.gz")
    (folder / "out.nii.gz").symlink_to(outside / "secret.nii.gz")
    (folder / "outdir").symlink_to(outside)
    (folder / "again.nii.gz").symlink_to(folder / "one.nii.gz")
    (folder / "nowhere.nii.gz").symlink_to(folder / "gone")
    # As annexes keep files: the content hidden, a link in its place.
    scan(folder / ".annex" / "ab" / "content.nii.gz")
    (folder / "annexed.nii.gz").symlink_to(Path(".annex", "ab", "content.nii.gz"))


def dcm(place: str, *prefixes: str, count: int = 8) -> tuple[str, ...]:
    return tuple(f"{place}/{prefix}{n:04d}.dcm" for prefix in prefixes for n in range(count))


def other_formats(folder: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(chest_hu().T.astype(np.int16))
    for name in ("image.nrrd", "image.mha", "image.mhd", "lung_mask.nrrd"):
        sitk.WriteImage(image, str(folder / name))
    with tarfile.open(folder / "packed.tar.gz", "w:gz") as archive:
        archive.add(folder / "image.nrrd", "scan.nrrd")
    np.save(folder / "table.npy", np.zeros((4, 4)))


TABLE: list[tuple[Callable[[Path], None], list[tuple[str, tuple[str, ...]]], dict[str, int]]] = [
    (
        nested,
        [
            ("nifti", ("a9.nii.gz",)),
            ("nifti", ("a10.nii.gz",)),
            ("nifti", ("b/deep/two.nii.gz",)),
        ],
        {},
    ),
    (own_outputs, [("nifti", ("one.nii.gz",))], {"masks": 4}),
    (earlier_batch, [("nifti", ("one.nii.gz",))], {"results of an earlier batch": 1}),
    (
        kaggle,
        [
            ("nifti", ("beside.nii.gz",)),
            ("case", ("set/ct_scans/coronacases_org_001.nii.gz",)),
            ("case", ("set/ct_scans/coronacases_org_002.nii.gz",)),
        ],
        {},
    ),
    (
        kaggle_with_short_table,
        [("case", ("ct_scans/one.nii.gz",)), ("nifti", ("ct_scans/two.nii.gz",))],
        {},
    ),
    (
        two_series,
        [("dicom", dcm("pat", "A")), ("dicom", dcm("pat", "B"))],
        {"DICOM folders where the series is not CT": 1},
    ),
    (
        split_series,
        [
            (
                "dicom",
                tuple(f"pat/1/IM000{n}.dcm" for n in range(4))
                + tuple(f"pat/2/JM000{n}.dcm" for n in range(4)),
            )
        ],
        {},
    ),
    (
        pictures_and_zips,
        [
            ("archive", ("scan.zip",)),
            ("pictures", ("stack/slice2.png", "stack/slice10.png")),
        ],
        {"pictures of masks": 1, "archives of masks": 1},
    ),
    (
        other_formats,
        [
            ("nifti", ("image.mha",)),
            ("nifti", ("image.mhd",)),
            ("nifti", ("image.nrrd",)),
            ("archive", ("packed.tar.gz",)),
        ],
        {"masks": 1},
    ),
    (
        links,
        [("nifti", ("annexed.nii.gz",)), ("nifti", ("one.nii.gz",))],
        {"links that lead out of the folder": 1, "links to folders": 1},
    ),
]


@pytest.mark.parametrize(("make", "scans", "left_out"), TABLE, ids=[t[0].__name__ for t in TABLE])
def test_what_is_found_and_what_is_left_out(
    tmp_path: Path,
    make: Callable[[Path], None],
    scans: list[tuple[str, tuple[str, ...]]],
    left_out: dict[str, int],
) -> None:
    folder = tmp_path / "Doe^John" / "scans"
    folder.mkdir(parents=True)
    make(folder)
    found = find_scans(folder)
    assert kinds(found) == scans
    assert found.left_out == left_out
    ids = [one.scan_id for one in found.scans]
    assert len(set(ids)) == len(ids)
    assert not any("Doe" in one.scan_id + one.name for one in found.scans)
    # The same tree elsewhere has the same ids in the same order.
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved, symlinks=True)
    assert [one.scan_id for one in find_scans(moved).scans] == ids
    for one in found.scans:
        study = open_found(one, folder.resolve())
        assert study.volume.shape[:2] == (48, 40)


def test_cases_bring_their_true_masks_and_every_slice_of_a_split_series_counts(
    tmp_path: Path,
) -> None:
    kaggle(tmp_path / "k")
    by_name = {one.name: one for one in find_scans(tmp_path / "k").scans}
    study = open_found(by_name["coronacases_org_001"], tmp_path / "k")
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.lung, LUNG)
    assert open_found(by_name["coronacases_org_002"], tmp_path / "k").truth is None
    split_series(tmp_path / "s")
    (one,) = find_scans(tmp_path / "s").scans
    assert one.place == "pat"
    assert open_found(one, tmp_path / "s").volume.shape == (48, 40, 8)


def test_copies_of_a_series_are_scans_of_their_own(tmp_path: Path) -> None:
    series = dicom_series(chest_hu(), series_uid="1.2.3")
    write_dicom(series, tmp_path / "a")
    write_dicom(series, tmp_path / "b")
    found = find_scans(tmp_path)
    assert [one.files[0] for one in found.scans] == ["a/IM0000.dcm", "b/IM0000.dcm"]


def test_the_folder_of_results_is_left_out_and_broken_files_are_scans_that_will_fail(
    tmp_path: Path,
) -> None:
    scan(tmp_path / "one.nii.gz")
    scan(tmp_path / "out" / "copy.nii.gz")
    (tmp_path / "cut.nii.gz").write_bytes((tmp_path / "one.nii.gz").read_bytes()[:900])
    found = find_scans(tmp_path, leave_out=tmp_path / "out")
    assert [one.name for one in found.scans] == ["cut", "one"]
    with pytest.raises(LoadError, match="cut short"):
        open_found(found.scans[0], tmp_path)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: folder.mkdir(), "holds no scan: got no file that can be opened"),
        (lambda folder: mask(folder / "lung_mask.nii.gz"), "got only masks: 1"),
        (lambda folder: folder.write_text("text"), "is not a folder of scans: got a file"),
        (lambda folder: None, "got nothing of that name"),
    ],
)
def test_nothing_to_do_is_reported(
    tmp_path: Path, make: Callable[[Path], object], told: str
) -> None:
    make(tmp_path / "scans")
    with pytest.raises(LoadError, match=told):
        find_scans(tmp_path / "scans")


def linked(folder: Path) -> Path:
    """A folder of scans, links out of it, and links that lead back to where they lie."""
    inside, outside = folder / "scans", folder / "elsewhere"
    scan(inside / "own.nii.gz")
    scan(outside / "deep" / "far.nii.gz")
    scan(folder / "file.nii.gz")
    (inside / "to_folder").symlink_to(outside)
    (inside / "to_file.nii.gz").symlink_to(folder / "file.nii.gz")
    (inside / "again").symlink_to(outside / "deep")
    (inside / "itself").symlink_to(inside)
    (outside / "back").symlink_to(inside)
    (outside / "up").symlink_to(folder)
    (inside / "broken").symlink_to(folder / "nowhere")
    return inside


def test_links_are_followed_on_the_word_of_the_person_alone(tmp_path: Path) -> None:
    inside = linked(tmp_path)
    plain = find_scans(inside)
    assert kinds(plain) == [("nifti", ("own.nii.gz",))]
    assert plain.left_out["links to folders"] == 3
    followed = find_scans(inside, follow_links=True)
    assert {one.name for one in followed.scans} == {"own", "to_file", "far", "file"}
    assert len(followed.scans) == 4
    assert followed == find_scans(inside, follow_links=True)
    for one in followed.scans:
        assert open_found(one, inside).volume.shape == VOLUME.shape


def test_links_of_a_set_are_followed_too(tmp_path: Path) -> None:
    kaggle(tmp_path / "store")
    folder = tmp_path / "scans" / "set"
    folder.mkdir(parents=True)
    for name in ("ct_scans", "lung_mask", "infection_mask"):
        (folder / name).symlink_to(tmp_path / "store" / "set" / name)
    with pytest.raises(LoadError, match="holds no scan"):
        find_scans(tmp_path / "scans")
    found = find_scans(tmp_path / "scans", follow_links=True).scans
    assert [(one.kind, one.lung is not None) for one in found] == [("case", True), ("case", False)]
