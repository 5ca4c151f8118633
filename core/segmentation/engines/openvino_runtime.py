"""OpenVINO, imported without its telemetry.

The package reports each import to its vendor over the network unless that was turned off on the
machine. Its telemetry package is declared absent before the import, and OpenVINO falls back to a
stub of its own.
"""

# ruff: noqa: E402
from __future__ import annotations

import sys

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino
from openvino import opset13 as ops

__all__ = ["openvino", "ops"]
