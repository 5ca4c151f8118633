"""Settings of a page: kept for the session, carried by the page's address, exported as code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.config import SettingRange
from core.errors import ConfigError
from core.ui.navigation import part_in_address
from core.ui.session import OpenStudy, this_session
from core.ui.widget_state import forget_widget, set_first_value

Value = str | int | float | bool


class Settings:
    """Named values that widgets change, presets overwrite and the address repeats.

    They outlive their widgets, which Streamlit forgets as soon as a page does not draw them.
    """

    def __init__(
        self, name: str, defaults: Mapping[str, Value], check: Callable[[dict[str, Any]], Any]
    ) -> None:
        """Takes what the session has under `name`, or else what the address says.

        Args:
            check: raises `ConfigError` for values that make no sense; then the defaults are taken.
        """
        self.name = name
        self.defaults = dict(defaults)
        kept = this_session().settings
        if name not in kept:
            values = {**self.defaults, **self._in_address()}
            try:
                check(values)
            except ConfigError:
                values = dict(self.defaults)
            kept[name] = values
        self.values: dict[str, Any] = kept[name]

    def _in_address(self) -> dict[str, Value]:
        """What the address names and can be read."""
        read = {}
        for setting, default in self.defaults.items():
            text = st.query_params.get(setting)
            value = None if text is None else _read(text[:40], default)
            if value is not None:
                read[setting] = value
        return read

    def forget(self) -> None:
        """Back to the defaults."""
        self.set(self.defaults)

    def set(self, values: Mapping[str, Value]) -> None:
        """Overwrites some; call it before their widgets are drawn, as from a callback."""
        self.values.update({name: values[name] for name in values if name in self.defaults})
        for name in values:
            forget_widget(self.key(name))

    def key(self, setting: str) -> str:
        """The widget key of a setting."""
        return f"{self.name}-{setting}"

    def changed(self) -> dict[str, str]:
        """What differs from the defaults, as text for the address."""
        return {
            name: _text(value)
            for name, value in self.values.items()
            if value != self.defaults[name]
        }

    def slide(
        self,
        label: str,
        setting: str,
        allowed: SettingRange,
        *,
        help: str,
        format: str | None = None,
    ) -> None:
        """A slider over all that the setting may be; `format` is Streamlit's."""
        whole = isinstance(self.defaults[setting], int)
        kind: Callable[[Any], Any] = int if whole else float
        # An address or a file may go further than the slider does.
        self.values[setting] = min(max(self.values[setting], kind(allowed.low)), kind(allowed.high))
        self._begin(setting)
        self.values[setting] = st.slider(
            label,
            min_value=kind(allowed.low),
            max_value=kind(allowed.high),
            step=kind(allowed.step),
            format=format,
            key=self.key(setting),
            help=help,
        )

    def choose(
        self, label: str, setting: str, names: Mapping[str, str], *, help: str | None
    ) -> None:
        """A choice among a few, shown by their names."""
        self._begin(setting)
        chosen = st.segmented_control(
            label,
            tuple(names),
            format_func=lambda choice: names[choice],
            key=self.key(setting),
            required=True,
            help=help,
        )
        self.values[setting] = chosen or self.defaults[setting]

    def switch(self, label: str, setting: str, *, help: str) -> None:
        """On or off."""
        self._begin(setting)
        self.values[setting] = st.toggle(label, key=self.key(setting), help=help)

    def _begin(self, setting: str) -> None:
        set_first_value(self.key(setting), self.values[setting])


def _read(text: str, default: Value) -> Value | None:
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text)
    if isinstance(default, str):
        return text
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if isinstance(default, int) else number


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def write_address(current: OpenStudy, slice_index: int, settings: Settings) -> None:
    """Case, slice and all settings that are not the defaults go into the page's address."""
    wanted = {
        **current.address,
        **part_in_address(),
        "slice": str(slice_index + 1),
        **settings.changed(),
    }
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)
