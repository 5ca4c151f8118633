"""Pictures: shown as they are, in the order people mean, saved back at the same size."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from core.errors import LoadError
from core.loading import load_picture, load_pictures, open_study, pictures_in
from core.output.saving import save_mask_png
from core.volume import plane_slice
from tests.bad_inputs import png_claiming
from tests.scans import chest_hu, chest_picture, png_bytes


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(pixels, path.suffix))
    return path


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".tiff"])
def test_a_picture_is_its_own_axial_slice(ending: str, tmp_path: Path) -> None:
    picture = chest_picture()
    study = open_study(write(tmp_path / f"slice ä 1{ending}", picture))
    volume = study.volume
    np.testing.assert_array_equal(plane_slice(volume.array, "axial", 0), picture)
    assert volume.unit == "unknown"
    assert volume.spacing_nominal
    assert volume.file_orientation == "LPS"
    assert dict(volume.source.facts)["Spacing"] == "not known"


@pytest.mark.parametrize("ending", [".jpg", ".webp"])
def test_lossy_pictures_are_near(ending: str, tmp_path: Path) -> None:
    picture = cv2.GaussianBlur(chest_picture(), (0, 0), 2)
    volume = open_study(write(tmp_path / f"slice{ending}", picture)).volume
    difference = plane_slice(volume.array, "axial", 0).astype(int) - picture
    assert np.abs(difference).max() < 30


def test_a_mask_of_a_picture_is_saved_at_its_size(tmp_path: Path) -> None:
    volume = open_study(write(tmp_path / "slice.png", chest_picture())).volume
    mask = plane_slice(volume.array < 100, "axial", 0)
    saved = save_mask_png(mask, tmp_path / "slice_lung.png")
    picture = cv2.imread(str(saved), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(picture > 0, chest_picture() < 100)


def test_a_stack_is_in_natural_order(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    numbers = list(range(1, 13))
    random.Random(0).shuffle(numbers)
    for number in numbers:
        picture = chest_picture()
        picture[0, 0] = number
        write(folder / f"slice{number}.png", picture)
    (folder / "notes.txt").write_text("x")
    (folder / "._slice1.png").write_bytes(b"x")
    volume = open_study(folder).volume
    assert volume.array[0, 0].tolist() == list(range(1, 13))
    assert [path.stem for path in pictures_in(folder)] == [f"slice{n}" for n in range(1, 13)]
    assert volume.source.name == "12 pictures"


def test_grey_saved_as_colour_is_grey(tmp_path: Path) -> None:
    picture = chest_picture()
    loaded = load_picture(write(tmp_path / "slice.png", np.dstack([picture] * 3)))
    assert not loaded.coloured
    np.testing.assert_array_equal(loaded.array, picture)


def test_transparency_is_dropped(tmp_path: Path) -> None:
    picture = chest_picture()
    alpha = np.full_like(picture, 255)
    loaded = load_picture(write(tmp_path / "slice.png", np.dstack([picture] * 3 + [alpha])))
    np.testing.assert_array_equal(loaded.array, picture)


def test_16_bit_with_the_storage_offset_is_hu(tmp_path: Path) -> None:
    hu = chest_hu()[:, :, 4].T
    stored = (hu.astype(np.int32) + 1024).clip(0).astype(np.uint16)
    volume = open_study(write(tmp_path / "slice.png", stored)).volume
    assert volume.unit == "HU"
    np.testing.assert_array_equal(plane_slice(volume.array, "axial", 0), hu.clip(-1024))


def test_16_bit_grey_is_scaled_by_its_largest_value(tmp_path: Path) -> None:
    stored = chest_picture().astype(np.uint16) * 200
    volume = open_study(write(tmp_path / "slice.png", stored)).volume
    assert volume.unit == "unknown"
    assert volume.array.dtype == np.float32
    top = float(stored.max())
    assert volume.hu(np.array([0, top])) == pytest.approx([-1250, 250], abs=0.1)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
def test_a_picture_on_its_side_keeps_its_pixels(ending: str, tmp_path: Path) -> None:
    # Cameras write a turn into EXIF; a mask must fit the pixels as they are stored.
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"slice{ending}"
    Image.fromarray(chest_picture()).save(path, exif=exif)
    picture = load_picture(path)
    assert picture.array.shape == chest_picture().shape
    assert picture.turned_by_viewers
    volume = open_study(path).volume
    assert (
        "EXIF data turn 1 of 1 pictures in viewers: here the pixels stay as they are stored, and "
        "so do the masks."
    ) in volume.warnings


def test_a_turned_tiff_is_refused(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "slice.tif"
    Image.fromarray(chest_picture()).save(path, tiffinfo={0x0112: 6})
    with pytest.raises(LoadError, match=r"slice\.tif is stored turned: got orientation 6"):
        load_picture(path)


def test_an_upright_picture_has_no_warning_of_turns(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 1
    path = tmp_path / "slice.jpg"
    Image.fromarray(chest_picture()).save(path, exif=exif)
    assert not load_picture(path).turned_by_viewers


def test_large_and_broken_pictures_print_nothing(tmp_path: Path) -> None:
    vast = tmp_path / "vast.png"
    vast.write_bytes(png_claiming(12_000, 12_000))
    broken = tmp_path / "broken.tif"
    broken.write_bytes(png_bytes(chest_picture(), ".tif")[:300])
    with warnings.catch_warnings(record=True) as printed:
        warnings.simplefilter("always")
        with pytest.raises(LoadError, match=r"vast\.png is too large to open"):
            load_picture(vast)
        with pytest.raises(LoadError, match=r"broken\.tif is not a picture"):
            load_picture(broken)
    assert not printed


def test_pages_in_one_file_are_refused(tmp_path: Path) -> None:
    from PIL import Image

    pages = [Image.fromarray(chest_picture(k=k)) for k in range(3)]
    path = tmp_path / "stack.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    with pytest.raises(LoadError, match="holds several pages: got 3 pictures"):
        load_picture(path)


def test_mixed_depth_is_refused(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "a.png", chest_picture()),
        write(tmp_path / "b.png", chest_picture().astype(np.uint16) * 9),
    ]
    with pytest.raises(LoadError, match="differ in depth"):
        load_pictures(paths)


@pytest.mark.real_data
def test_real_pictures(real_data: Path) -> None:
    folder = real_data / "covid_ct_ucsd" / "val" / "covid"
    for path in sorted(folder.iterdir())[:5]:
        volume = open_study(path).volume
        assert volume.shape == (224, 224, 1)
        assert volume.unit == "unknown"


def _write_pages(path: Path, pages: list[np.ndarray]) -> Path:
    first, *others = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=others)
    return path


def test_pages_of_a_tiff_are_a_stack(tmp_path: Path) -> None:
    pages = [(chest_hu()[:, :, k].T + 1024).clip(0).astype(np.uint16) for k in range(8)]
    volume = load_pictures([_write_pages(tmp_path / "pages.tif", pages)])
    np.testing.assert_array_equal(volume.array, np.maximum(chest_hu(), -1024))
    assert volume.unit == "HU"
    assert volume.source.name == "pages.tif"
    assert dict(volume.source.facts)["Format"] == "TIF of 8 pages"


def test_pages_of_several_sizes_are_refused(tmp_path: Path) -> None:
    path = _write_pages(tmp_path / "pages.tif", [chest_picture(), chest_picture()[:, :40]])
    with pytest.raises(LoadError, match="differ in size"):
        load_pictures([path])


def test_pages_beside_other_pictures_are_refused(tmp_path: Path) -> None:
    path = _write_pages(tmp_path / "1.tif", [chest_picture(), chest_picture()])
    Image.fromarray(chest_picture()).save(tmp_path / "2.tif")
    with pytest.raises(LoadError, match="several pages"):
        load_pictures([path, tmp_path / "2.tif"])


@pytest.mark.parametrize(("offset", "note"), [(32768, "32768 added"), (1024, "1024 was subt")])
@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_hu_stored_in_16_bits(offset: int, note: str, ending: str, tmp_path: Path) -> None:
    for k in range(8):
        hu = chest_hu()[:, :, k].T.astype(np.int32)
        Image.fromarray((hu + offset).clip(0).astype(np.uint16)).save(tmp_path / f"{k}{ending}")
    volume = load_pictures(list(tmp_path.iterdir()))
    assert volume.unit == "HU"
    np.testing.assert_array_equal(volume.array, np.maximum(chest_hu(), -min(offset, 2048)))
    assert any(note in warning for warning in volume.warnings)


def test_hu_whose_sign_was_lost_in_16_bits(tmp_path: Path) -> None:
    for k in range(8):
        hu = np.ascontiguousarray(chest_hu()[:, :, k].T)
        Image.fromarray(hu.view(np.uint16)).save(tmp_path / f"{k}.png")
    volume = load_pictures(list(tmp_path.iterdir()))
    assert volume.unit == "HU"
    np.testing.assert_array_equal(volume.array, chest_hu())
    assert any("were read as negative" in warning for warning in volume.warnings)


EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 64 64
%%EndComments
(touched) (w) file closefile showpage
%%EOF
"""


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".bmp"])
@pytest.mark.parametrize("kind", ["EPS", "GIF", "PPM", "PCX", "ICO", "SGI", "TGA"])
def test_other_formats_of_pillow_are_never_read(ending: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"slice{ending}"
    if kind == "EPS":
        path.write_bytes(EPS)
    else:
        Image.fromarray(chest_picture()).save(path, format=kind)
    with pytest.raises(LoadError, match="slice"):
        load_picture(path)
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


def test_every_picture_is_opened_by_the_fixed_list_of_formats() -> None:
    root = Path(__file__).resolve().parent.parent
    sources = [*(root / "core").rglob("*.py"), *(root / "pages").glob("*.py")]
    calls = [
        line.strip()
        for source in sources
        for line in source.read_text(encoding="utf-8").splitlines()
        if "Image.open(" in line
    ]
    assert calls
    assert all("formats=PICTURE_FORMATS" in call for call in calls), calls
