"""Which engine runs the network, by what the machine has."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any, Literal, get_args

from core.config import EngineName, Precision
from core.errors import ConfigError, shown_name
from core.segmentation.engines.protocol import Engine, EngineUnavailable
from core.segmentation.weights import WeightsInfo
from core.system import may_have_gpu

ENGINE_VARIABLE = "LUNGLENS_ENGINE"
"""Environment variable by which the operator of a server chooses."""
PRECISION_VARIABLE = "LUNGLENS_PRECISION"
"""Environment variable by which the operator chooses what the network computes in."""
_NOT_INSTALLED = "The package openvino is not installed."


def default_engine() -> EngineName:
    """The engine that the environment names, else auto.

    Raises:
        ConfigError: it names an engine that does not exist.
    """
    return _asked(ENGINE_VARIABLE, get_args(EngineName), what="engine")


def default_precision() -> Precision:
    """The precision that the environment names, else auto.

    Raises:
        ConfigError: it names another than there are.
    """
    return _asked(PRECISION_VARIABLE, get_args(Precision), what="precision")


def _asked(variable: str, known: tuple[Any, ...], *, what: str) -> Any:
    asked = os.environ.get(variable) or "auto"
    if asked not in known:
        raise ConfigError(
            f"{variable} names no {what}", got=shown_name(asked), expected=", ".join(known)
        )
    return asked


def choose_engine(wanted: EngineName = "auto") -> Literal["openvino", "keras"]:
    """The engine to run: Keras where it has a GPU, else OpenVINO where it is installed.

    Raises:
        ConfigError: OpenVINO was asked for and is not installed.
    """
    installed = _openvino_installed()
    if wanted == "keras":
        return "keras"
    if wanted == "openvino":
        if not installed:
            raise ConfigError(
                "The OpenVINO engine is not installed",
                got="engine openvino",
                expected="the package openvino",
                next_step="run 'pip install openvino', or leave the engine to auto",
            )
        return "openvino"
    if not installed:
        return "keras"
    if may_have_gpu():
        # Imported here: asking TensorFlow takes seconds, and few machines have the devices.
        from core.segmentation.engines.inference import prepare_device

        if prepare_device().startswith("GPU"):
            return "keras"
    return "openvino"


def load_engine(info: WeightsInfo, wanted: EngineName = "auto") -> Engine:
    """The network of these weights, ready but not warmed up.

    Raises:
        WeightsError: files are missing, damaged or do not fit each other.
        ConfigError: the engine asked for is not installed, or the environment names no precision.
        EngineUnavailable: the engine asked for does not start here, or cannot run this network.
    """
    precision = default_precision()
    reason = "" if wanted != "auto" or _openvino_installed() else _NOT_INSTALLED
    if choose_engine(wanted) == "openvino":
        try:
            return _load_openvino(info, precision)
        except EngineUnavailable as error:
            if wanted == "openvino":
                raise
            reason = str(error)
    from core.segmentation.engines.inference import Segmenter, prepare_device

    if not reason or prepare_device().startswith("GPU"):  # where Keras is the usual engine
        return Segmenter(info, precision=precision)
    return Segmenter(
        info,
        precision=precision,
        fallback_reason=f"Keras ran the network, which may take longer. {reason}",
    )


def _openvino_installed() -> bool:
    return find_spec("openvino") is not None


def _load_openvino(info: WeightsInfo, precision: Precision) -> Engine:
    try:
        from core.segmentation.engines.openvino_engine import OpenVinoSegmenter

        return OpenVinoSegmenter(info, precision=precision)
    # Installed for another system, or on a processor that its plugin for CPUs does not take.
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineUnavailable(
            "The OpenVINO engine does not start",
            got=(str(error).strip().splitlines() or [type(error).__name__])[-1][:120].rstrip("."),
            expected="a package openvino made for this system",
            next_step="reinstall it, or run with the engine keras",
        ) from error
