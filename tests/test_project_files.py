"""What a project holds beside its steps, the scan and the zip to pass on, and shortened steps."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from core.annotation import Annotation
from core.config import CorrectionConfig
from core.correction import Base, Correction, Redo, Undo
from core.correction.project import (
    Card,
    Keeper,
    ProjectState,
    has_project,
    list_projects,
    pack_project,
    read_scan,
    unpack_project,
)
from core.correction.project.journal import read_journal
from core.correction.project.scan_file import write_scan
from core.correction.project.state import read_state, write_state
from core.errors import LungLensError, ProjectError
from core.loading import open_study
from core.output import mask_nifti_bytes
from core.output.exports import dicom_seg_bytes
from core.volume import MaskPair, Study
from tests.studies import small_study, small_truth
from tests.test_correction import SHAPE, box, make, network, paint, volume
from tests.test_exports import DAY, series
from tests.test_kept_corrections import opened, same, worked_on

STATE = ProjectState(
    weights_id="lite-v1",
    lung_threshold=0.5,
    infection_threshold=0.35,
    plane="coronal",
    voxel=(3, 4, 5),
    window_center=-600.0,
    window_width=1500.0,
    notes="Looks like two days ago.",
    annotations=(
        Annotation("note", "axial", 2, ((1.0, 2.5),), "here"),
        Annotation("region", "sagittal", 1, ((1.0, 2.0), (4.0, 6.0))),
    ),
)


def short_lived(projects: Path, *, journal_bytes: int) -> tuple[Correction, Keeper]:
    """The scan, with a history of ten steps and a file that is soon too long."""
    config = CorrectionConfig(fewest_steps=10, history_bytes=0, journal_bytes=journal_bytes)
    scan = volume()
    correction = Correction(scan, network(), config)
    keeper = Keeper(projects, Card("Air", "", SHAPE, origin="demo", where="demo"), scan, correction)
    if has_project(projects, scan.digest):
        keeper.restore()
    correction.keeper = keeper
    return correction, keeper


def test_a_long_file_of_steps_is_shortened_and_leads_to_the_same_place(tmp_path: Path) -> None:
    plain, _ = short_lived(tmp_path / "plain", journal_bytes=10**9)
    short, keeper = short_lived(tmp_path / "short", journal_bytes=4000)
    for correction in (plain, short):
        worked_on(correction, edits=120)
        make(correction, Undo())
        make(correction, Undo())
    long_file = (tmp_path / "plain").rglob("steps")
    short_file = (tmp_path / "short").rglob("steps")
    assert next(short_file).stat().st_size < next(long_file).stat().st_size / 2
    acts, _ = read_journal(keeper.folder / "steps", shape=SHAPE)
    assert isinstance(acts[0], Base)
    assert not any(isinstance(act, Base) for act in acts[1:])
    short.close()
    again, _ = short_lived(tmp_path / "short", journal_bytes=4000)
    same(plain, again)
    assert again.steps == plain.steps
    for one in (plain, again):
        make(one, Redo())
        make(one, Redo())
    same(plain, again)
    while again.undoable:
        make(plain, Undo())
        make(again, Undo())
        same(plain, again)


def test_a_shortened_file_that_could_not_be_written_is_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    correction, _ = short_lived(tmp_path, journal_bytes=4000)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left")

    with monkeypatch.context() as patched:
        patched.setattr("core.correction.project.journal.write_bytes", refuse)
        worked_on(correction, edits=60)
    state = correction.masks()
    correction.close()
    again, _ = short_lived(tmp_path, journal_bytes=4000)
    np.testing.assert_array_equal(again.masks().infection, state.infection)


def test_settings_notes_and_marks_come_back(tmp_path: Path) -> None:
    correction, keeper = opened(tmp_path)
    assert keeper.keep_state(ProjectState(plane="axial")) == ""
    assert list_projects(tmp_path) == [], "nothing is kept of a scan that was only looked at"
    assert keeper.keep_state(STATE) == ""
    keeper.close()
    (listed,) = list_projects(tmp_path)
    assert (listed.steps, listed.with_scan) == (0, False)
    correction, keeper = opened(tmp_path)
    assert keeper.state == STATE
    make(correction, paint(box((0, 1), (0, 1), (0, 1))))
    correction.follow(network())
    keeper.close()
    again, keeper = opened(tmp_path)
    assert (keeper.state, again.steps) == (STATE, 1)


def test_notes_outlive_another_result_of_the_network(tmp_path: Path) -> None:
    correction, keeper = opened(tmp_path, network())
    keeper.keep_state(STATE)
    make(correction, paint(box((0, 1), (0, 1), (0, 1)), channel="lung"))
    make(correction, Undo())
    correction.follow(None)
    assert has_project(tmp_path, volume().digest)
    keeper.close()
    again, keeper = opened(tmp_path)
    assert (keeper.state, again.steps, again.touched) == (STATE, 0, False)


@pytest.mark.parametrize(
    "change",
    [
        {"voxel": "here"},
        {"notes": "x" * 20_001},
        {"window_width": -1},
        {"infection_threshold": "high"},
        {"annotations": [{"kind": "drawing"}]},
        {"annotations": [{"kind": "note", "plane": "axial", "index": 99, "points": [[1, 1]]}]},
        {"annotations": [{"kind": "arrow", "plane": "axial", "index": 0, "points": [[1, 1]]}]},
        {
            "annotations": [
                {"kind": "note", "plane": "axial", "index": 0, "points": [[1, "2"]], "text": ""}
            ]
        },
    ],
)
def test_a_damaged_state_is_one_sentence(tmp_path: Path, change: dict[str, object]) -> None:
    write_state(tmp_path, STATE)
    values = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps({**values, **change}))
    with pytest.raises(ProjectError, match=r"damaged state\.json"):
        read_state(tmp_path, SHAPE)
    (tmp_path / "state.json").write_text(json.dumps({**values, "version": 2}))
    with pytest.raises(ProjectError, match="later version"):
        read_state(tmp_path, SHAPE)


def test_a_kept_scan_is_the_same_scan(tmp_path: Path, small_chest: Path) -> None:
    for number, study in enumerate(
        (open_study(small_chest), small_study(), small_study(grey=True, nominal=True))
    ):
        folder = tmp_path / str(number)
        write_scan(folder, study, identity=True)
        again = read_scan(folder, fingerprint=study.volume.digest)
        np.testing.assert_array_equal(again.volume.array, study.volume.array)
        assert again.volume.digest == study.volume.digest
        assert again.volume.source.facts == study.volume.source.facts
        assert again.volume.warnings == study.volume.warnings
        assert again.case_id == study.case_id
        mask = small_truth().infection
        assert mask_nifti_bytes(mask, again.volume) == mask_nifti_bytes(mask, study.volume)
        if study.truth is not None:
            np.testing.assert_array_equal(again.truth.lung, study.truth.lung)
        read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "scan.nii.gz"))).T
        np.testing.assert_allclose(read, study.volume.hu(study.volume.array), atol=1e-3)


def test_a_kept_series_is_still_referred_to_and_named_only_on_request(tmp_path: Path) -> None:
    loaded = series(tmp_path)
    study = Study(loaded)
    write_scan(tmp_path / "kept", study, identity=True)
    again = read_scan(tmp_path / "kept", fingerprint=loaded.digest)
    masks = small_masks(loaded.shape)
    made = [
        dicom_seg_bytes(masks, one, algorithm="net", made_on=DAY) for one in (loaded, again.volume)
    ]
    assert made[0] == made[1]
    write_scan(tmp_path / "passed", study, identity=False)
    text = (tmp_path / "passed" / "scan.json").read_text()
    origin = loaded.source.dicom
    for uid in (origin.study_uid, origin.series_uid, origin.instances[0].sop_instance_uid):
        assert uid in (tmp_path / "kept" / "scan.json").read_text()
        assert uid not in text


def small_masks(shape: tuple[int, int, int]) -> MaskPair:
    lung = np.zeros(shape, dtype=bool, order="F")
    lung[2:-2, 2:-2, 1] = True
    return MaskPair(lung, lung.copy(order="F"))


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.json"])
def test_a_damaged_scan_is_one_sentence(tmp_path: Path, name: str) -> None:
    study = small_study()
    write_scan(tmp_path, study, identity=True)
    whole = (tmp_path / name).read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"x" * 1000):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ProjectError, match="cannot be read"):
            read_scan(tmp_path, fingerprint=study.volume.digest)
    (tmp_path / name).write_bytes(whole)
    with pytest.raises(ProjectError, match="another fingerprint"):
        read_scan(tmp_path, fingerprint="0" * 32)


def project_of(projects: Path, study: Study, name: str = "Mr Nobody") -> Path:
    """A project with a stroke, a note and a mark."""
    correction = Correction(study.volume, None)
    card = Card(name, "", study.volume.shape, origin="file", where="ward/nobody.nii.gz")
    keeper = Keeper(projects, card, study.volume, correction)
    correction.keeper = keeper
    runs = np.zeros(study.volume.shape, dtype=bool, order="F")
    runs[3:9, 4:8, 2] = True
    make(correction, paint(runs))
    keeper.keep_state(STATE)
    keeper.close()
    return keeper.folder


@pytest.mark.parametrize("with_scan", [True, False])
def test_a_project_goes_out_as_a_zip_and_comes_back(tmp_path: Path, with_scan: bool) -> None:
    study = small_study(name="nobody.nii.gz", case_id="nobody")
    folder = project_of(tmp_path / "here", study)
    packed = pack_project(folder, scan=study if with_scan else None, identity=False)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        everything = b"".join(
            archive.read(name) for name in archive.namelist() if not name.endswith(".gz")
        )
    assert b"obody" not in everything
    there, inside = unpack_project(io.BytesIO(packed), tmp_path / "there")
    assert (inside is not None) == with_scan
    (listed,) = list_projects(tmp_path / "there")
    assert (listed.folder, listed.with_scan, listed.steps) == (there, with_scan, 1)
    correction = Correction(study.volume)
    keeper = Keeper(tmp_path / "there", listed.card, study.volume, correction)
    assert keeper.restore() == 1
    assert keeper.state == STATE
    assert correction.masks().infection.sum() == 6 * 4
    if with_scan:
        assert read_scan(there, fingerprint=listed.card.fingerprint).volume.source.name == "scan"
    keeper.close()
    with pytest.raises(ProjectError, match="already"):
        unpack_project(io.BytesIO(packed), tmp_path / "there")
    assert len(list((tmp_path / "there").iterdir())) == 1
    named = pack_project(folder, scan=study, identity=True)
    assert b"Mr Nobody" in zipfile.ZipFile(io.BytesIO(named)).read("project.json")


def act(header: object) -> bytes:
    """A file of steps with one act of this header."""
    text = json.dumps(header).encode()
    payload = len(text).to_bytes(4, "little") + text
    check = zlib.crc32(payload).to_bytes(4, "little")
    return b"LungLens steps 1\n" + len(payload).to_bytes(4, "little") + check + payload


def changed_zip(
    packed: bytes, changes: dict[str, bytes | None], *, packing: int = zipfile.ZIP_STORED
) -> io.BytesIO:
    """The zip with other, further or fewer files."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(out, "w", packing) as new:
        for name in dict.fromkeys([*old.namelist(), *changes]):
            content = changes.get(name, old.read(name) if name in old.namelist() else None)
            if content is not None:
                new.writestr(name, content)
    return io.BytesIO(out.getvalue())


def test_other_and_damaged_zips_are_one_sentence_and_leave_nothing(tmp_path: Path) -> None:
    study = small_study()
    packed = pack_project(project_of(tmp_path / "here", study), scan=study, identity=False)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        card = json.loads(archive.read("project.json"))
        steps = archive.read("steps")
    mask = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)).to_bytes()
    bad: list[io.BytesIO] = [
        io.BytesIO(b"no zip"),
        io.BytesIO(packed[: len(packed) // 2]),
        changed_zip(packed, {"project.json": None}),
        changed_zip(packed, {"../escaped": b"x"}),
        changed_zip(packed, {"readme.txt": b"x"}),
        changed_zip(packed, {"steps": steps[:-2]}),
        changed_zip(packed, {"steps": b"others"}),
        changed_zip(packed, {"network_lung.nii.gz": mask}),
        changed_zip(packed, {"scan.nii.gz": b"none"}),
        changed_zip(packed, {"state.json": b"[]"}),
        changed_zip(packed, {"project.json": json.dumps({**card, "version": 9}).encode()}),
        changed_zip(packed, {"project.json": json.dumps({**card, "fingerprint": "../x"}).encode()}),
        changed_zip(packed, {"project.json": json.dumps({**card, "shape": [0, 4, 4]}).encode()}),
    ]
    scan = json.loads(zipfile.ZipFile(io.BytesIO(packed)).read("scan.json"))
    real = np.ones(study.volume.shape)
    for name, content in (
        ("project.json", b"[" * 100_000),
        ("project.json", json.dumps({**card, "shape": [1e400, 4, 4]}).encode()),
        ("project.json", json.dumps({**card, "version": "1"}).encode()),
        ("project.json", json.dumps({**card, "name": "x" * 5000}).encode()),
        ("project.json", json.dumps({**card, "turned_from": "../x"}).encode()),
        ("project.json", b" " * 20_000_000 + json.dumps(card).encode()),
        ("steps", act([])),
        ("steps", act({"act": "step", "channel": "lung", "drawn": None, "flips": []})),
        ("steps", act({"act": "step", "channel": "heart", "drawn": None, "flips": {}})),
        ("steps", act({"act": "base", "steps": -5, "flips": {}})),
        ("steps", act({"act": "base", "steps": 1e400, "flips": {}})),
        ("steps", act({"act": "step", "channel": "lung", "drawn": ["axial", 99], "flips": {}})),
        # Each takes eight times the room that it seems to.
        ("network_lung.nii.gz", gzip.compress(nib.Nifti1Image(real, np.eye(4)).to_bytes())),
        ("scan.json", json.dumps({**scan, "version": 2}).encode()),
        *(
            ("scan.json", json.dumps({**scan, "source": {**scan["source"], **change}}).encode())
            for change in ({"format": "other"}, {"file_shape": [1, 1, 1]}, {"trailing_axes": 99})
        ),
    ):
        bad.append(changed_zip(packed, {name: content}))
    bad.append(changed_zip(packed, {}, packing=zipfile.ZIP_LZMA))
    unpack_project(changed_zip(packed, {}, packing=zipfile.ZIP_DEFLATED), tmp_path / "fine")
    for file in bad:
        with pytest.raises(LungLensError):
            unpack_project(file, tmp_path / "there")
        assert list((tmp_path / "there").iterdir()) == []
    assert not (tmp_path / "escaped").exists()
