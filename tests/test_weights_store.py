"""Publishing weights: nothing half-written, nothing lost, no one else's work touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.classification.info import find_classifier
from core.classification.learning.publish import build_classifier_card
from core.errors import SaveError, WeightsError
from core.segmentation import weights_store
from core.segmentation.weights import find_weights, read_manifest
from core.segmentation.weights_store import check_publish_folder, stage_weights
from core.system.locks import take_lock
from core.training.mixture.publishing import build_mixture_card
from tests.test_weights import make_weights


def fake(staged: Path, text: str) -> None:
    (staged / "manifest.json").write_text(text, encoding="utf-8")


def any_weights(folder: Path) -> str:
    return (folder / "manifest.json").read_text(encoding="utf-8")


def fail_after_hours(folder: Path) -> None:
    with stage_weights(folder, check=any_weights) as staged:
        fake(staged, "half")
        raise RuntimeError("after hours")


def test_weights_appear_at_the_end_and_all_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "mine"
    with stage_weights(folder, check=any_weights) as staged:
        assert staged.name == "mine"
        fake(staged, "{}")
        assert not folder.exists()
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("exists", [True, False])
def test_an_error_leaves_everything_as_it_was(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "mine"
    if exists:
        folder.mkdir()
        fake(folder, "before")
    with pytest.raises(RuntimeError, match="after hours"):
        fail_after_hours(folder)
    assert [path.name for path in tmp_path.iterdir()] == (["mine"] if exists else [])
    assert not exists or any_weights(folder) == "before"


def test_what_cannot_be_loaded_is_not_published(tmp_path: Path) -> None:
    make_weights(tmp_path / "mine", is_default=True)
    before = read_manifest(tmp_path / "mine")
    with (
        pytest.raises(WeightsError, match=r"mine/weights\.npz is missing"),
        stage_weights(tmp_path / "mine", check=load) as staged,
    ):
        fake(staged, before.manifest_text)
    assert read_manifest(tmp_path / "mine") == before


def load(folder: Path) -> object:
    from core.segmentation.weights import load_weights

    return load_weights(read_manifest(folder))


def test_two_publishers_of_one_name_do_not_touch_each_other(tmp_path: Path) -> None:
    """The one that ends last counts, and each sees its own files throughout."""
    folder = tmp_path / "mine"
    with stage_weights(folder, check=any_weights) as first:
        fake(first, "first")
        with stage_weights(folder, check=any_weights) as second:
            assert second != first
            fake(second, "second")
        assert any_weights(folder) == "second"
        assert any_weights(first) == "first"
    assert any_weights(folder) == "first"
    with stage_weights(tmp_path / "other", check=any_weights) as third:
        fake(third, "third")
        with pytest.raises(RuntimeError, match="after hours"):
            fail_after_hours(folder)
    assert any_weights(folder) == "first"
    assert any_weights(tmp_path / "other") == "third"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "other"]


def test_earlier_weights_come_back_if_new_ones_cannot_take_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    fake(folder, "before")
    rename = os.rename

    def fail(source: Path, target: Path) -> None:
        if Path(source).parent.name.startswith(".staging-") and Path(source).name == "mine":
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(weights_store.os, "rename", fail)
    with (
        pytest.raises(SaveError, match="cannot be put in place: got Permission denied"),
        stage_weights(folder, check=any_weights) as staged,
    ):
        fake(staged, "after")
    assert any_weights(folder) == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_staging_of_a_killed_publisher_is_removed_and_that_of_a_living_one_is_not(
    tmp_path: Path,
) -> None:
    for name in ("dead", "alive"):
        (tmp_path / f".staging-{name}" / "mine").mkdir(parents=True)
        (tmp_path / f".staging-{name}" / "lock").touch()
        os.utime(tmp_path / f".staging-{name}", (0, 0))
    with (tmp_path / ".staging-alive" / "lock").open("ab") as lock:
        assert take_lock(lock)
        with stage_weights(tmp_path / "mine", check=any_weights) as staged:
            fake(staged, "{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".staging-alive", "mine"]


def test_other_files_are_never_removed(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / ".hidden").touch()
    check_publish_folder(folder)
    (folder / "README.md").touch()
    with pytest.raises(WeightsError, match=r"got no manifest\.json"):
        check_publish_folder(folder)
    fake(folder, "{}")
    (folder / "stage1.json").touch()
    check_publish_folder(folder)
    (folder / "notes.txt").touch()
    with pytest.raises(WeightsError, match=r"got notes\.txt.*choose another folder"):
        check_publish_folder(folder)
    with pytest.raises(WeightsError), stage_weights(folder, check=any_weights):
        pass
    assert (folder / "notes.txt").exists()


def test_shipped_cards_are_what_the_templates_make_of_the_manifests() -> None:
    network, classifier = find_weights(), find_classifier()
    assert network.card_path.read_text(encoding="utf-8") == build_mixture_card(network)
    assert classifier.card_path.read_text(encoding="utf-8") == build_classifier_card(classifier)
