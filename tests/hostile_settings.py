"""Settings files that nobody should be hurt by, each with what the sentence about it must say."""

from __future__ import annotations

import json
from dataclasses import dataclass

FORGED = "epochs\nerror: everything is fine\x1b[2K\u202e"
"""A key that would write a line of its own, clear one, and turn the text around."""


@dataclass(frozen=True)
class HostileSettings:
    """A JSON text for settings of training, and words of the one sentence that refuses it."""

    name: str
    text: str
    words: tuple[str, ...]


def _is(value: object, key: str = "epochs") -> str:
    return json.dumps({key: value})


HOSTILE_SETTINGS: tuple[HostileSettings, ...] = (
    # not JSON, or not an object
    HostileSettings("empty", "", ("an empty file", "a JSON file")),
    HostileSettings("white space", " \n ", ("an empty file",)),
    HostileSettings("prose", "epochs: 5", ("not JSON, from line 1 on",)),
    HostileSettings("cut short", '{"epochs": 5,\n "seed"', ("not JSON, from line 2 on",)),
    HostileSettings("a list", "[]", ("train settings cannot be read", "got a list")),
    HostileSettings("null", "null", ("got null", "a JSON object")),
    HostileSettings("text", '"x"', ("got text",)),
    HostileSettings("a number", "7", ("got a number",)),
    HostileSettings("true", "true", ("got true or false",)),
    HostileSettings("a key twice", '{"seed": 1, "seed": 2}', ("the key seed twice",)),
    # depth and length
    HostileSettings("deep lists", "[" * 100_000 + "]" * 100_000, ("nested too deeply",)),
    HostileSettings("deep objects", '{"a":' * 200 + "1" + "}" * 200, ("nested too deeply",)),
    HostileSettings("long text", _is("x" * 1_000_000, "precision"), ("precision", "…")),
    HostileSettings("many digits", '{"epochs": ' + "9" * 5000 + "}", ("too many digits",)),
    HostileSettings(
        "a vast number", '{"epochs": ' + "9" * 400 + "}", ("epochs", "a number that is too large")
    ),
    HostileSettings(
        "many keys", json.dumps({f"k{n}": n for n in range(5000)}), ("and 4997 more", "…")
    ),
    # not finite
    HostileSettings("nan", '{"learning_rate": NaN}', ("learning_rate is not a number", "got nan")),
    HostileSettings("infinity", '{"learning_rate": -Infinity}', ("learning_rate", "got -inf")),
    HostileSettings("overflow", '{"learning_rate": 1e999}', ("learning_rate", "got inf")),
    # unknown keys
    HostileSettings("unknown", _is(5, "colour"), ("no such setting", "got colour", "one of")),
    HostileSettings("misspelt", _is(5, "epoch"), ("got epoch, expected epochs",)),
    HostileSettings("forged line", _is(5, FORGED), (r"epochs\n", r"\u001b")),
    HostileSettings("nested unknown", '{"model": {"legs": 4}}', ("model settings", "got legs")),
    HostileSettings("a class name", '{"__class__": "os"}', ("got __class__",)),
    # other kinds of value
    HostileSettings("text for a number", _is("5"), ("epochs", 'got "5"', "a whole number")),
    HostileSettings("share for a count", _is(5.5), ("got 5.5, expected a whole number",)),
    HostileSettings("true for a count", _is(True), ("got true, expected a whole number",)),
    HostileSettings("null for a count", _is(None), ("got null, expected a whole number",)),
    HostileSettings("list for a count", _is([5]), ("got [5], expected a whole number",)),
    HostileSettings("object for a count", _is({"a": 1}), ("expected a whole number",)),
    HostileSettings("text for a rate", _is("x", "learning_rate"), ("expected a number",)),
    HostileSettings("number for an object", _is(1, "model"), ("an object of settings",)),
    HostileSettings("list for a choice", _is([], "precision"), ("precision", "float32")),
    HostileSettings("unknown choice", _is("float8", "precision"), ('got "float8"',)),
    HostileSettings("forged value", _is(FORGED, "precision"), (r"\n", r"\u001b")),
    # ranges
    HostileSettings("no epochs", _is(0), ("epochs", "got 0", "1 to")),
    HostileSettings("epochs without end", _is(10**9), ("epochs", "1 to 100000")),
    HostileSettings("rate below 0", _is(-1.0, "learning_rate"), ("learning_rate", "above 0")),
    HostileSettings("rate of the moon", _is(1e30, "learning_rate"), ("at most 100",)),
    HostileSettings("negative seed", _is(-1, "seed"), ("seed", "got -1")),
    HostileSettings("deep network", '{"model": {"depth": 60}}', ("depth", "1 to 6")),
    HostileSettings("wide network", '{"model": {"width": 1000000}}', ("width", "1 to 256")),
    HostileSettings("turned twice", '{"augment": {"rotation_degrees": 720}}', ("0 to 180",)),
    HostileSettings("noise only", '{"augment": {"noise": 1e9}}', ("noise", "0 to 1")),
    HostileSettings("window", '{"preprocess": {"window_width": -5}}', ("The window's width",)),
    HostileSettings("input", '{"preprocess": {"rows": 17}}', ("17 × 256", "multiples of 16")),
)
