"""Damaged weights on the pages: they are named, and no other network takes their place unasked."""

from __future__ import annotations

import pytest

from core.errors import WeightsError
from core.segmentation.manifests import UnusableWeights
from tests.studies import StandInInfo, small_study
from tests.test_pages import page, ran_well


@pytest.mark.parametrize("is_default", [True, False])
def test_damaged_weights_are_named_and_replaced_only_by_choice(
    monkeypatch: pytest.MonkeyPatch, is_default: bool
) -> None:
    installed = StandInInfo(is_default=is_default)
    error = WeightsError("The manifest first/manifest.json cannot be read", got="JSONDecodeError")
    broken = UnusableWeights("first", error, may_be_default=True)
    monkeypatch.setattr("core.segmentation.list_weights", lambda *a: (installed,))
    monkeypatch.setattr("core.segmentation.list_unusable_weights", lambda *a: (broken,))
    app = ran_well(page("segment", small_study()).run())
    assert any("first/manifest" in item.value.replace("\\", "") for item in app.warning)
    labels = {item.label for item in app.button}
    assert ("Mark lung and infection" in labels) == is_default
    if not is_default:
        app.selectbox(key="weights").set_value(installed)
        ran_well(app.run())
        assert "Mark lung and infection" in {item.label for item in app.button}
