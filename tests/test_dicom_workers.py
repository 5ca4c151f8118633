"""Compressed pixels: whatever stands in them, loading ends in a scan or one sentence."""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from core.errors import LoadError
from core.loading import load_dicom
from core.loading.dicom import workers
from core.loading.dicom.decode import DecodeError
from core.loading.dicom.workers import CRASHED, TIMED_OUT, Request, decode_in_worker
from tests.scans import chest_hu, dicom_series, write_dicom

SYNTAXES = {
    "RLE": RLELossless,
    "JPEG 2000": JPEG2000Lossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG Lossless": JPEGLosslessSV1,
    "HTJ2K": HTJ2KLossless,
}
ROOT = Path(__file__).resolve().parent.parent
_BROKEN = 96
"""Files for each syntax; some are only refused when their decoder has run out of time."""


def compressed(syntax: str, count: int = 1) -> list[Dataset]:
    """Slices in a compressed syntax, by the encoder at hand for it."""
    datasets = dicom_series(chest_hu((48, 40, max(count, 2))))[:count]
    if syntax == "JPEG Lossless":
        return list(map(_by_gdcm, datasets))
    for dataset in datasets:
        # There is no encoder for HTJ2K at hand; its decoder reads JPEG 2000 as well.
        into = JPEG2000Lossless if syntax == "HTJ2K" else SYNTAXES[syntax]
        dataset.compress(into, generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    return datasets


def _by_gdcm(dataset: Dataset) -> Dataset:
    """In JPEG Lossless, which pydicom has no encoder for."""
    gdcm = pytest.importorskip("gdcm")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "slice.dcm"))
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
        reader, change = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax()
        reader.SetFileName(path)
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(path)
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return pydicom.dcmread(path)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_syntax_gives_the_same_hu(syntax: str, tmp_path: Path) -> None:
    folder = write_dicom(compressed(syntax, 4), tmp_path / "series")
    np.testing.assert_array_equal(load_dicom(folder).array, chest_hu((48, 40, 4)))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_half_of_a_compressed_slice_is_not_ignored(syntax: str, tmp_path: Path) -> None:
    datasets = compressed(syntax, 4)
    for dataset in datasets:
        dataset.Rows //= 2
    with pytest.raises(LoadError, match=r"cannot be decoded|do not fit"):
        load_dicom(write_dicom(datasets, tmp_path / "series"))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_frames_beyond_those_of_the_header_are_not_ignored(syntax: str, tmp_path: Path) -> None:
    datasets = compressed(syntax, 2)
    stream = next(generate_frames(datasets[0].PixelData, number_of_frames=1))
    for has_bot in (True, False):
        datasets[0].PixelData = encapsulate([stream, stream], has_bot=has_bot)
        with pytest.raises(LoadError, match=r"do not fit its header|cannot be decoded"):
            load_dicom(write_dicom(datasets, tmp_path / "series"))


def test_a_slice_in_several_fragments_is_whole(tmp_path: Path) -> None:
    datasets = compressed("JPEG 2000", 2)
    for dataset in datasets:
        stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([stream], fragments_per_frame=3)
    volume = load_dicom(write_dicom(datasets, tmp_path / "series"))
    np.testing.assert_array_equal(volume.array, chest_hu((48, 40, 2)))


def _fuzz(syntax: str, count: int, folder: Path) -> tuple[int, int]:
    """How many of so many broken files gave a scan, and how many a sentence."""
    random = np.random.default_rng(list(SYNTAXES).index(syntax))
    dataset = compressed(syntax)[0]
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    opened = refused = 0
    for number in range(count):
        broken = np.frombuffer(stream, np.uint8).copy()
        if number % 8 == 7:  # junk behind the first bytes of a true stream
            broken[int(random.integers(2, 64)) :] = random.integers(0, 256)
        elif number % 8 == 6:
            broken = broken[: int(random.integers(1, broken.size))]
        else:
            # Most of a stream is entropy-coded: headers are where decoders go wrong.
            reach = broken.size if number % 2 else min(120, broken.size)
            broken[random.integers(0, reach, 1 + number % 3)] ^= np.uint8(random.integers(1, 256))
        dataset.PixelData = encapsulate([broken.tobytes()])
        write_dicom([dataset], folder)
        try:
            volume = load_dicom(folder)
        except LoadError:
            refused += 1
        else:
            opened += 1
            assert volume.shape == (48, 40, 1)
    return opened, refused


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some broken JPEG-LS streams keep their decoder busy until its time is up, 30 s each."""
    monkeypatch.setattr(workers, "_SECONDS", 1)
    monkeypatch.setattr(workers, "_SECONDS_PER_MILLION", 0)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_changed_bytes_give_a_scan_or_a_sentence(syntax: str, tmp_path: Path) -> None:
    opened, refused = _fuzz(syntax, _BROKEN, tmp_path)
    assert opened + refused == _BROKEN
    assert refused


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the decoding program; the true one comes back afterwards."""
    path = tmp_path / "program.py"
    workers._POOL.close()
    monkeypatch.setattr(workers.program, "__file__", str(path))
    return path


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import os; input(); os.abort()", CRASHED),
        ("input(); print('junk')", CRASHED),
        ("input(); print('{}', flush=True)", CRASHED),
        ("""input(); print('{"shape": [999], "type": "<i2", "bytes": 1998}')""", "too long"),
        ("import time; time.sleep(600)", TIMED_OUT),
    ],
    ids=["abort", "no JSON", "no shape", "more than asked", "hang"],
)
def test_a_failing_worker_is_one_error_and_is_replaced(
    code: str, problem: str, program: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program.write_text(code)
    monkeypatch.setattr(workers, "_SECONDS", 1)
    with pytest.raises(DecodeError, match=problem):
        list(decode_in_worker([Request(tmp_path / "x", 10)]))
    assert workers._POOL._idle == []
    monkeypatch.undo()
    folder = write_dicom(compressed("RLE", 2), tmp_path / "series")
    np.testing.assert_array_equal(load_dicom(folder).array, chest_hu((48, 40, 2)))


def test_a_crash_is_one_sentence(
    program: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program.write_text("import os; input(); os.abort()")
    folder = write_dicom(compressed("RLE", 2), tmp_path / "series", prefix="SECRET-ID")
    with pytest.raises(LoadError, match="A slice cannot be decoded") as caught:
        load_dicom(folder)
    assert "the decoder crashed" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_no_process_for_the_decoder_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workers._POOL.close()
    monkeypatch.setattr(workers.sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(LoadError, match="Compressed slices cannot be decoded now"):
        load_dicom(write_dicom(compressed("RLE", 2), tmp_path / "series"))


def test_workers_serve_threads_at_once_and_few_are_kept(tmp_path: Path) -> None:
    folder = write_dicom(compressed("RLE", 3), tmp_path / "series")
    right: list[bool] = []

    def load() -> None:
        right.append(bool((load_dicom(folder).array == chest_hu((48, 40, 3))).all()))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 4
    assert 1 <= len(workers._POOL._idle) <= 2


def test_no_more_workers_run_than_may(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    workers._POOL.close()
    monkeypatch.setattr(workers, "_MOST", 2)
    started: list[int] = []
    begin = workers._Worker.__init__

    def counted(self: workers._Worker) -> None:
        begin(self)
        started.append(workers._POOL._running)

    monkeypatch.setattr(workers._Worker, "__init__", counted)
    folder = write_dicom(compressed("RLE", 8), tmp_path / "series")
    right: list[bool] = []

    def load() -> None:
        right.append(bool((load_dicom(folder).array == chest_hu((48, 40, 8))).all()))

    threads = [threading.Thread(target=load) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 5
    assert max(started) <= 2
    assert workers._POOL._running == len(workers._POOL._idle) <= 2


def test_a_series_that_gets_no_worker_in_time_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(workers, "_MOST", 1)
    monkeypatch.setattr(workers, "_WAIT_SECONDS", 0.2)
    workers._POOL.close()
    path = next(write_dicom(compressed("RLE", 1), tmp_path / "series").iterdir())
    first = decode_in_worker([Request(path, 48 * 40)] * 2)
    next(first)
    with pytest.raises(DecodeError, match="not started"):
        next(decode_in_worker([Request(path, 48 * 40)]))
    first.close()
    assert next(decode_in_worker([Request(path, 48 * 40)])).shape == (40, 48)


def test_a_cancelled_series_leaves_no_worker_with_old_answers(tmp_path: Path) -> None:
    folder = write_dicom(compressed("RLE", 3), tmp_path / "series")
    paths = sorted(folder.iterdir())
    stream = decode_in_worker([Request(path, 48 * 40) for path in paths])
    next(stream)
    stream.close()
    gc.collect()
    np.testing.assert_array_equal(load_dicom(folder).array, chest_hu((48, 40, 3)))


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)"], ids=["at exit", "killed"])
def test_no_worker_is_left_over(end: str, tmp_path: Path) -> None:
    folder = write_dicom(compressed("RLE", 2), tmp_path / "series")
    code = (
        "import os, sys\n"
        "from core.loading import load_dicom\n"
        "from core.loading.dicom import workers\n"
        "load_dicom(sys.argv[1])\n"
        "print(*(worker._process.pid for worker in workers._POOL._idle), flush=True)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code + end, str(folder)], capture_output=True, text=True, cwd=ROOT
    )
    pids = list(map(int, ran.stdout.split()))
    assert pids
    for _ in range(200):
        if not any(map(_runs, pids)):
            break
        time.sleep(0.05)
    assert not any(map(_runs, pids))


def _runs(pid: int) -> bool:
    try:
        return "decode.py" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
