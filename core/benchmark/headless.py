"""A Streamlit server and a headless Chromium, started for a measurement and ended with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.errors import LungLensError
from core.system import PROGRAM_FOLDER

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
_PATIENCE_S = 300.0


def has_browser() -> bool:
    """Whether Chromium, its driver and selenium are there."""
    return (
        any(map(shutil.which, _BROWSERS))
        and shutil.which("chromedriver") is not None
        and find_spec("selenium") is not None
    )


@contextlib.contextmanager
def run_server(
    module: Sequence[str], script: str, folder: Path, *, settings: Mapping[str, str]
) -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    """A page on a free port, until the block ends.

    Args:
        module: the module that is run as Streamlit, and its own arguments.
        script: the page, from the program's folder.
        folder: where the server writes what it has to report.
        settings: environment variables beside those of this process.

    Yields:
        Its address, its process, and when that was started, in seconds of the system's clock.

    Raises:
        LungLensError: the server does not answer in time.
    """
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", *module, "run", script]
    command += ["--server.port", str(port), "--server.headless", "true"]
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM_FOLDER), **settings}
    with (folder / "server.txt").open("w") as out:
        begun = time.time()
        server = subprocess.Popen(
            command, cwd=PROGRAM_FOLDER, env=environment, stdout=out, stderr=out
        )
        try:
            address = f"http://localhost:{port}"
            wait_until(lambda: _is_up(f"{address}/_stcore/health"), "the server")
            yield address, server, begun
        finally:
            server.terminate()
            server.wait(20)


def _is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def open_browser(folder: Path) -> Iterator[Any]:
    """Headless Chromium with its own profile; it ends with the block."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if not found or not driver:
        raise LungLensError(
            "The browser benchmark needs Chromium with chromedriver",
            got="neither or one of them",
            next_step="install both and try again",
        )
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError as missing:
        raise LungLensError(
            "The browser benchmark needs selenium",
            next_step="pip install -r requirements-dev.txt",
        ) from missing
    options = webdriver.ChromeOptions()
    options.binary_location = found
    profile = tempfile.mkdtemp(dir=folder)
    for flag in (*_FLAGS, f"--user-data-dir={profile}", "--window-size=1440,900"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_script_timeout(_PATIENCE_S)
    try:
        yield browser
    finally:
        browser.quit()


def wait_until(condition: Callable[[], Any], what: str) -> None:
    """Waits until a condition is true.

    Raises:
        LungLensError: `what` does not appear in time.
    """
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise LungLensError(
                "The browser benchmark has stopped", got=f"nothing of {what} in {_PATIENCE_S:.0f} s"
            )
        time.sleep(0.1)
