"""Zips of every kind of scan, opened without a trace."""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.config import LoadLimits
from core.errors import Cancelled, LoadError, shown_name
from core.loading import SeveralSeriesError, open_study
from core.loading.archive import unpack
from core.loading.names import safe_name, stage_uploads
from tests.scans import (
    chest_hu,
    chest_picture,
    dicom_series,
    nifti_bytes,
    png_bytes,
    write_dicom,
    zip_bytes,
)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def write_zip(path: Path, entries: list[tuple[str, bytes]]) -> Path:
    path.write_bytes(zip_bytes(entries))
    return path


def series_entries(tmp_path: Path, **tags: object) -> list[tuple[str, bytes]]:
    folder = write_dicom(dicom_series(chest_hu(), **tags), tmp_path / "series")  # type: ignore[arg-type]
    return [(f"study/series/{file.name}", file.read_bytes()) for file in folder.iterdir()]


def test_a_zip_of_dicom(tmp_path: Path, temporary: Path) -> None:
    entries = [
        *series_entries(tmp_path),
        ("__MACOSX/study/._IM0000.dcm", b"junk"),
        ("study/.DS_Store", b"junk"),
        ("study/inner.zip", zip_bytes([("a", b"b")])),
        ("study/DICOMDIR", b"junk"),
    ]
    study = open_study(write_zip(tmp_path / "s.zip", entries))
    np.testing.assert_array_equal(study.volume.array, chest_hu())
    assert list(temporary.iterdir()) == []


def test_a_zip_of_one_nifti_whatever_its_name(tmp_path: Path, temporary: Path) -> None:
    content = gzip.compress(nifti_bytes(chest_hu()))
    study = open_study(write_zip(tmp_path / "upload.bin", [("folder/scan one.nii.gz", content)]))
    np.testing.assert_array_equal(study.volume.array, chest_hu())
    assert list(temporary.iterdir()) == []


def test_a_zip_of_pictures(tmp_path: Path) -> None:
    entries = [(f"slice{n}.png", png_bytes(chest_picture(k=n % 8))) for n in range(11, 0, -1)]
    volume = open_study(write_zip(tmp_path / "s.zip", entries)).volume
    assert volume.shape == (48, 40, 11)
    np.testing.assert_array_equal(volume.array[:, :, 2].T, chest_picture(k=3))


def test_a_zip_of_a_single_case(tmp_path: Path) -> None:
    lung = (chest_hu() < -700).astype(np.uint8)
    entries = [
        ("set/ct_scans/coronacases_org_001.nii", nifti_bytes(chest_hu())),
        ("set/lung_mask/coronacases_001.nii", nifti_bytes(lung)),
    ]
    study = open_study(write_zip(tmp_path / "s.zip", entries))
    assert study.case_id == "coronacases_org_001"
    assert study.truth is not None
    np.testing.assert_array_equal(study.truth.lung, lung == 1)


def test_several_series_in_a_zip_can_be_chosen(tmp_path: Path, temporary: Path) -> None:
    other = write_dicom(dicom_series(chest_hu(seed=1)), tmp_path / "other", prefix="B")
    entries = series_entries(tmp_path) + [(f.name, f.read_bytes()) for f in other.iterdir()]
    path = write_zip(tmp_path / "s.zip", entries)
    with pytest.raises(SeveralSeriesError) as caught:
        open_study(path)
    assert list(temporary.iterdir()) == []
    arrays = [open_study(path, series_uid=s.uid).volume.array for s in caught.value.series]
    assert any(np.array_equal(array, chest_hu(seed=1)) for array in arrays)


def test_cancel_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    path = write_zip(tmp_path / "s.zip", series_entries(tmp_path))
    with pytest.raises(Cancelled):
        open_study(path, should_cancel=lambda: True)
    assert list(temporary.iterdir()) == []


def test_names_that_meet_on_other_systems_stay_apart(tmp_path: Path) -> None:
    long = "x" * 200
    entries = [
        ("a/B.txt", b"1"),
        ("a/b.txt", b"2"),
        ("A/b.txt", b"3"),
        (f"a/{long}.txt", b"4"),
        (f"a/{long}y.txt", b"5"),
        ("a/con.txt", b"6"),
        ("a/new\nline.txt", b"7"),
    ]
    out = tmp_path / "out"
    out.mkdir()
    unpack(write_zip(tmp_path / "s.zip", entries), out)
    files = [path for path in out.rglob("*") if path.is_file()]
    assert sorted(path.read_bytes() for path in files) == [b"%d" % n for n in range(1, 8)]
    assert len({str(path).lower() for path in files}) == 7
    assert all(len(path.name) < 200 and "\n" not in path.name for path in files)


def test_a_stored_bomb_is_seen_by_its_size(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "s.zip", [("scan.nii", bytes(3000))])
    with pytest.raises(LoadError, match="too large unpacked"):
        open_study(path, limits=LoadLimits(max_unpacked_bytes=2000))


def test_a_zip_cannot_be_mixed_with_other_files(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "s.zip", [("scan.nii", b"x")])
    other = tmp_path / "scan.nii"
    other.write_bytes(nifti_bytes(chest_hu()))
    with pytest.raises(LoadError, match="cannot be mixed"):
        open_study([path, other])
    np.testing.assert_array_equal(open_study([other]).volume.array, chest_hu())


def test_a_directory_inside_is_no_file(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.mkdir("only/") if hasattr(archive, "mkdir") else archive.writestr("only/", b"")
    path = tmp_path / "s.zip"
    path.write_bytes(packed.getvalue())
    with pytest.raises(LoadError, match="holds no file"):
        open_study(path)


@pytest.mark.real_data
def test_a_zip_of_a_real_series(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "covid_ct_md" / "P001_dicom"
    entries = [(f"P001/{file.name}", file.read_bytes()) for file in folder.iterdir()]
    zipped = open_study(write_zip(tmp_path / "P001.zip", entries)).volume
    assert zipped.digest == open_study(folder).volume.digest


# --- uploads ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("scan.nii.gz", "scan.nii.gz"),
        ("Scan 1.NII.GZ", "Scan 1.NII.GZ"),
        ("my scan (1).nii.gz", "my scan (1).nii.gz"),
        ("a+b, c & d=e #3 [x] {y}'s ~_%20.png", "a+b, c & d=e #3 [x] {y}'s ~_%20.png"),
        ("_slice..v2.png", "_slice..v2.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\a.dcm", "a.dcm"),
        ("<img src=x>.png", "_img src=x_.png"),
        ("new\nline.png", "newline.png"),
        (".hidden", "file.hidden"),
        ("", "file"),
        ("...", "file"),
        (" .. hidden.nii", "hidden.nii"),
        ("trailing. ", "trailing"),
        ('a:b|c?d*e"f.nii', "a_b_c_d_e_f.nii"),
        ("abc\u202egnp.nii", "abcgnp.nii"),
        ("con.nii", "file_con.nii"),
        ("Con .x.nii", "file_Con .x.nii"),
        ("肺部 扫描.nii.gz", "肺部 扫描.nii.gz"),
        ("IM0001", "IM0001"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_long_names_keep_their_ending() -> None:
    for character in ("x", "肺"):
        name = safe_name(character * 300 + ".nii.gz")
        assert name.endswith(".nii.gz")
        assert len(name.encode()) < 180


@pytest.mark.parametrize(
    "name",
    [
        "my scan (1).nii.gz",
        "Ünïcode, 肺部 +.NII",
        "<img src=x onerror=alert(1)>.nii.gz",
        "a&b`c.png",
        "scan\nAll is well.\n.nii.gz",
        "abc\u202egnp.nii",
        f"{'long name ' * 12}.nii.gz",
    ],
)
def test_an_upload_is_shown_under_the_name_of_its_file(name: str) -> None:
    assert shown_name(safe_name(name)) == shown_name(name)


def test_uploads_are_written_apart(tmp_path: Path) -> None:
    content = nifti_bytes(chest_hu())
    files = [
        ("a.dcm", b"1"),
        ("A.dcm", b"2"),
        ("dir/a.dcm", b"3"),
        ("scan<script>.nii", io.BytesIO(content)),
    ]
    paths = stage_uploads(files, tmp_path / "uploads")
    assert [path.name for path in paths] == ["a.dcm", "A_2.dcm", "a_3.dcm", "scan_script_.nii"]
    assert [path.read_bytes() for path in paths] == [b"1", b"2", b"3", content]
    more = stage_uploads([("a.dcm", b"4")], tmp_path / "uploads")
    assert more[0].name == "a_4.dcm"
    np.testing.assert_array_equal(open_study(paths[3]).volume.array, chest_hu())


def test_uploads_that_cannot_be_kept_are_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LoadError, match="The upload cannot be kept"):
        stage_uploads([("a.dcm", b"1")], tmp_path / "file")


def _tar_bytes(entries: list[tuple[str, bytes]], *, mode: str = "w:gz") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.tar.gz", _tar_bytes([("./patient/scan.nii", nifti_bytes(chest_hu()))])),
        ("s.tgz", _tar_bytes([("patient/scan.nii", nifti_bytes(chest_hu())), (".x", b"x")])),
        ("s.tar", _tar_bytes([("scan.nii", nifti_bytes(chest_hu()))], mode="w")),
        ("named oddly", _tar_bytes([("scan.nii", nifti_bytes(chest_hu()))])),
        ("s.zip", zip_bytes([("a/inner.zip", zip_bytes([("s.nii", nifti_bytes(chest_hu()))]))])),
        ("s.zip", zip_bytes([("a.tgz", _tar_bytes([("s.nii", nifti_bytes(chest_hu()))]))])),
        ("s.zip", zip_bytes([("s.nii", nifti_bytes(chest_hu())), ("x.zip", b"PK\3\4 junk")])),
    ],
    ids=["tar.gz", "tgz", "tar", "no ending", "zip in zip", "tgz in zip", "damaged zip beside"],
)
def test_other_archives_open(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    np.testing.assert_array_equal(open_study(path).volume.array, chest_hu())


def _linked() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("scan.nii")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (_tar_bytes([("../scan.nii", b"x")]), "holds paths that lead outside of it"),
        (_tar_bytes([("/scan.nii", b"x")]), "holds paths that lead outside of it"),
        (_linked(), "holds a link"),
        (_tar_bytes([]), "holds no file|cannot be unpacked"),
        (_tar_bytes([("scan.nii", nifti_bytes(chest_hu()))])[:-3000], "cannot be unpacked"),
        (_tar_bytes([("scan.nii", bytes(40 * 1024**2))]), "bomb"),
        (_tar_bytes([(f"{n}", b"x") for n in range(6000)]), "too many files"),
    ],
    ids=["parent folder", "root", "link", "empty", "cut off", "bomb", "too many files"],
)
def test_a_tar_that_is_not_unpacked(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "s.tgz"
    path.write_bytes(content)
    with pytest.raises(LoadError, match=sentence):
        open_study(path)


def test_archives_are_unpacked_once(tmp_path: Path) -> None:
    deep = zip_bytes([("b.zip", zip_bytes([("c.zip", zip_bytes([("s.nii", b"x")]))]))])
    path = tmp_path / "a.zip"
    path.write_bytes(deep)
    with pytest.raises(
        LoadError, match=r"a\.zip holds archives nested too deeply: got an archive in an archive"
    ):
        open_study(path)
