"""Versions of the program and of the packages that a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from core import __version__

_PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "opencv-python-headless")


def software_versions() -> dict[str, str]:
    """Versions of what a result depends on, by name; packages that are not installed are left
    out."""
    versions = {"lunglens": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
