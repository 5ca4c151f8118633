"""The repository itself: settings agree, no GPL, no scans, no stray paths, imports downward.

That every file parses on the oldest Python and has its docstring is checked by ruff.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import core

ROOT = Path(__file__).resolve().parent.parent
MAX_TRACKED_BYTES = 6 * 1024**2
MAX_WEIGHTS_BYTES = 8_000_000


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", timeout=120
    )


@pytest.fixture(scope="module")
def tracked_files() -> list[Path]:
    """Files that git holds and that are still there."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files are tracked is not known")
    listed = run("git", "ls-files", "-z")
    if listed.returncode != 0:
        pytest.skip(f"git does not list the files here: {listed.stderr.strip()}")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


# ------------------------------------------------------------------------------ what is tracked


def test_no_tracked_file_is_large(tracked_files: list[Path]) -> None:
    large = {
        str(path.relative_to(ROOT)): path.stat().st_size
        for path in tracked_files
        if path.stat().st_size
        > (MAX_WEIGHTS_BYTES if path.name == "weights.npz" else MAX_TRACKED_BYTES)
    }
    assert not large


def test_no_scan_is_tracked(tracked_files: list[Path]) -> None:
    suffixes = (".nii", ".nii.gz", ".dcm", ".dicom", ".mhd", ".nrrd", ".pkl", ".pickle")
    assert [path.name for path in tracked_files if path.name.lower().endswith(suffixes)] == []


def test_no_machine_path_or_registry_in_tracked_text(tracked_files: list[Path]) -> None:
    # Put together here so that this file does not find itself.
    folders = "|".join(("work", "root", "home", "Users", "opt"))
    hosts = "|".join((r"pypi\." + "org", "python" + "hosted", r"registry\." + "npmjs"))
    forbidden = re.compile(rf"(?<![\w.~:-])/(?:{folders})/\w|{hosts}")
    found = []
    for path in tracked_files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a file of weights
        for number, line in enumerate(text.splitlines(), start=1):
            if forbidden.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found


# ------------------------------------------------------------------------------ sources


def test_entry_script_imports_only_streamlit_and_ui() -> None:
    script = ROOT / "streamlit_app.py"
    if not script.exists():
        pytest.skip("there is no streamlit_app.py yet")
    imported: set[str] = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    own = {"streamlit", "core", "pages"} | set(sys.stdlib_module_names)
    assert {name.partition(".")[0] for name in imported} <= own
    assert all(
        name.startswith(("core.ui", "core.config", "core.errors"))
        for name in imported
        if name.startswith("core.")
    )


def test_keras_is_not_imported_before_it_is_needed() -> None:
    """The first page and `--help` must not wait seconds for TensorFlow."""
    names = [
        f"core.{name}"
        for name in (
            "cli",
            "segmentation.pipeline",
            "ui.charts.evaluation",
            "loading",
            "phantom",
            "ui",
        )
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    for heavy in ('keras', 'tensorflow'):\n"
        "        assert heavy not in sys.modules, f'{name} imports {heavy}'\n"
    )
    result = run(sys.executable, "-c", script)
    assert result.returncode == 0, result.stderr[-2000:]


def test_the_server_keeps_libraries_out_of_garbage_collection() -> None:
    """Streamlit collects garbage after every run of a page; only what came later is looked at."""
    script = (
        "import gc, runpy, sys\n"
        "runpy.run_path('streamlit_app.py', run_name='app')\n"
        "from core.ui.libraries import wait_until_loaded\n"
        "wait_until_loaded()\n"
        "later = len(gc.get_objects())\n"
        "assert gc.get_freeze_count() > 50_000 > 20 * later, (gc.get_freeze_count(), later)\n"
        "assert 'plotly.graph_objects' in sys.modules\n"
    )
    result = run(sys.executable, "-c", script)
    assert result.returncode == 0, result.stderr[-2000:]


# ------------------------------------------------------------------------------ import contracts


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).parent / "lint-imports"
    if not command.exists():
        pytest.skip("import-linter is not installed (requirements-dev.txt)")
    return run(str(command), "--no-cache", cwd=folder)


def test_import_contracts_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout[-4000:]


ROOMS = "Rooms of core import downward only"
KERAS = "Keras stays in the rooms of the network"
PAGES = "Pages hold no Keras, file formats or image operations"
CYCLE = ("core/errors.py", "import core.config")
BREACHES = (
    # file, statement, contract, what the report must name
    (*CYCLE, ROOMS, "core.errors -> core.config"),
    (
        "core/volume.py",
        "import core.preprocessing.enhancement",
        ROOMS,
        "core.volume -> core.preprocessing.enhancement",
    ),
    (
        "core/measuring/spoilt.py",
        "import core.segmentation.models.unet",
        ROOMS,
        "core.measuring.spoilt -> core.segmentation.models.unet",
    ),
    ("core/ui/spoilt.py", "import core.cli", ROOMS, "core.ui.spoilt -> core.cli"),
    ("core/spoilt.py", "import core.errors", ROOMS, "core.spoilt"),
    (
        "core/cli/spoilt.py",
        "import core.ui.page",
        "The command line knows nothing of the app",
        "core.cli.spoilt -> core.ui.page",
    ),
    (
        "core/ui/spoilt.py",
        "import pages.spoilt",
        "Core knows nothing of the pages",
        "core.ui.spoilt -> pages.spoilt",
    ),
    (
        "core/evaluation/metrics.py",
        "import streamlit as st",
        "In core, only ui imports Streamlit",
        "core.evaluation.metrics -> streamlit",
    ),
    (
        "core/ui/spoilt.py",
        "import plotly.graph_objects",
        "Only the charts import Plotly",
        "core.ui.spoilt -> plotly",
    ),
    (
        "core/preprocessing/roi/spoilt.py",
        "from keras import ops",
        KERAS,
        "core.preprocessing.roi.spoilt -> keras",
    ),
    ("core/ui/spoilt.py", "import keras", KERAS, "core.ui.spoilt -> keras"),
    (
        "core/training/losses.py",
        "import tensorflow",
        "Only inference and training name a backend",
        "core.training.losses -> tensorflow",
    ),
    ("pages/spoilt.py", "import cv2", PAGES, "pages.spoilt -> cv2"),
    ("pages/late.py", "def late():\n    import nibabel", PAGES, "pages.late -> nibabel"),
)


def spoilt_report(folder: Path, statements: Iterable[tuple[str, str]]) -> str:
    """What import-linter says of the code after statements were added to files of it."""
    for name in ("core", "pages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for module, statement in statements:
        with (folder / module).open("a", encoding="utf-8") as file:
            file.write(f"\n{statement}\n")
    result = lint_imports(folder)
    assert result.returncode != 0
    return result.stdout


def part_of(report: str, contract: str) -> list[str]:
    """The lines of a report below the heading of a broken contract."""
    _, _, after = report.partition(f"\n{contract}\n{'-' * len(contract)}\n")
    lines = after.splitlines()
    ends = [number for number, line in enumerate(lines) if line.startswith("----")]
    return [line.strip("- ") for line in (lines[: ends[0] - 1] if ends else lines)]


@pytest.fixture(scope="module")
def broken_contracts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report on all breaches at once."""
    folder = tmp_path_factory.mktemp("spoilt")
    return spoilt_report(folder, [(module, statement) for module, statement, *_ in BREACHES])


@pytest.mark.parametrize(
    ("contract", "named"), [breach[2:] for breach in BREACHES], ids=[b[3] for b in BREACHES]
)
def test_import_contract_can_fail(broken_contracts: str, contract: str, named: str) -> None:
    assert f"\n{contract} BROKEN" in broken_contracts
    found = [line.partition(" (l.")[0] for line in part_of(broken_contracts, contract)]
    assert named in found, broken_contracts[-3000:]


def test_a_cycle_alone_breaks_its_contract(tmp_path: Path) -> None:
    """In a report of its own: other breaches make cycles too."""
    report = spoilt_report(tmp_path, [CYCLE])
    contract = "No import cycles between neighbours"
    assert f"\n{contract} BROKEN" in report
    assert any(".errors -> .config" in line for line in part_of(report, contract)), report[-3000:]


# ------------------------------------------------------------------------------ requirements


def requirements_of(name: str) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in read(name).splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def installed_closure(requirements: list[Requirement]) -> set[str]:
    """Names of the installed packages that `requirements` pull in, by what each declares."""
    seen: set[str] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        extras = {"", *requirement.extras}
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras
        ):
            continue
        name = canonicalize_name(requirement.name)
        if name in seen:
            continue
        try:
            declared = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        seen.add(name)
        waiting.extend(Requirement(text) for text in declared)
    return seen


def licence_of(name: str) -> str:
    """What a package's metadata say of its licence; a full text in the field is left out."""
    metadata = importlib.metadata.metadata(name)
    fields = metadata.get_all("License-Expression", []) + metadata.get_all("License", [])
    classifiers = metadata.get_all("Classifier", [])
    return " | ".join(
        [field for field in fields if len(field) < 120]
        + [line for line in classifiers if line.startswith("License ::")]
    )


GPL = re.compile(r"\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_no_required_package_is_gpl(name: str) -> None:
    closure = installed_closure(requirements_of(name))
    assert "numpy" in closure or name != "requirements.txt"
    licences = {package: licence_of(package) for package in sorted(closure)}
    assert {package: text for package, text in licences.items() if GPL.search(text)} == {}
    assert not closure & {"pylibjpeg-libjpeg", "albumentationsx"}


@pytest.mark.parametrize(
    ("text", "is_gpl"),
    [
        ("GPL V3.0", True),
        ("AGPL-3.0-only", True),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True),
        ("LGPL-2.1", False),
        ("MPL-2.0 AND MIT", False),
    ],
)
def test_gpl_is_recognised(text: str, is_gpl: bool) -> None:
    assert bool(GPL.search(text)) is is_gpl


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_installed_versions_are_within_the_ranges(name: str) -> None:
    outside = {}
    for requirement in requirements_of(name):
        if requirement.marker and not requirement.marker.evaluate():
            continue
        installed = importlib.metadata.version(requirement.name)
        if not requirement.specifier.contains(installed, prereleases=True):
            outside[str(requirement)] = installed
    assert not outside


def test_every_requirement_has_a_lower_and_an_upper_bound() -> None:
    for requirement in requirements_of("requirements.txt"):
        operators = {clause.operator for clause in requirement.specifier}
        assert operators >= {">=", "<"} or "==" in operators, str(requirement)


# ------------------------------------------------------------------------------ settings


def test_versions_agree() -> None:
    declared = re.search(r'^version = "(.+)"$', read("pyproject.toml"), re.MULTILINE)
    assert declared is not None
    assert declared.group(1) == core.__version__
    assert f"## [{core.__version__}]" in read("CHANGELOG.md")


def test_licence_is_the_apache_text() -> None:
    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def test_streamlit_takes_every_setting() -> None:
    result = run(sys.executable, "-m", "streamlit", "config", "show")
    assert result.returncode == 0, result.stderr[-2000:]
    assert "not a valid config option" not in result.stdout + result.stderr
    shown = set(result.stdout.splitlines())
    assert shown >= {
        'address = "localhost"',
        "gatherUsageStats = false",
        'showErrorDetails = "none"',
        "enableXsrfProtection = true",
        "maxUploadSize = 1024",
        "[theme.dark]",
        "[theme.light]",
    }


def test_theme_fetches_nothing() -> None:
    assert "://" not in read(".streamlit/config.toml")


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@needs_make
def test_help_lists_every_target() -> None:
    listed = run("make", "-s", "help").stdout
    for target in ("app", "test", "lint", "weights", "clean"):
        assert re.search(rf"^ +make {target} ", listed, re.MULTILINE), target


@needs_make
def test_weights_say_when_there_is_no_data(tmp_path: Path) -> None:
    missing = tmp_path / "no scans"
    result = run("make", "-s", "weights", f"DATA={missing}")
    assert result.returncode != 0
    assert "There are no scans to train on" in result.stderr
    assert str(missing) in result.stderr


@needs_make
def test_app_says_when_no_python_fits(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "cksum", "cut", "cat", "awk", "sed"):
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    old = tools / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    make = shutil.which("make")
    assert make is not None
    result = subprocess.run(
        [make, "-s", "setup", "PYTHON=python9"],
        cwd=tmp_path,
        env={"PATH": str(tools)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert result.returncode != 0
    assert "PYTHON=python9 does not fit" in result.stderr
    assert "LungLens needs Python 3.10, 3.11, 3.12 or 3.13" in result.stderr


def test_ci_script_is_executable_and_parses() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    result = run("bash", "-n", str(script))
    assert result.returncode == 0, result.stderr
