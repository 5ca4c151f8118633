"""Estimate the probability of COVID-19 in pictures or scans, and write a table.

One row a picture or scan: name, covid_probability, band, abstained, reason. A folder of pictures
is classified picture by picture. What cannot be read has a row that says why. Never a diagnosis.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.classification import (
    NOT_A_DIAGNOSIS,
    Classifier,
    classify_pictures,
    classify_volume,
    load_classifier,
    load_segmenter_for,
    open_picture,
)
from core.classification.scores import COLUMNS, ScoreRow, table_text
from core.cli.scan_options import add_scan_arguments, open_scan
from core.cli.segment import add_engine_argument
from core.cli.terminal import Result, TerminalProgress
from core.errors import ConfigError, LoadError, LungLensError, shown_name
from core.loading import (
    JOINED,
    PICTURE_ENDINGS,
    VOLUME_ENDINGS,
    check_file,
    exists,
    is_case_folder,
    is_picture,
    load_case_table,
    may_be_read,
    natural_order,
)
from core.loading.dicom import is_dicom
from core.system import OnProgress, check_place, refuse_overwriting, write_text

_SCAN_ENDINGS = (*VOLUME_ENDINGS, ".zip", ".tar", ".tar.gz", ".tgz", ".dcm")
_PICTURES_AT_ONCE = 64

EXAMPLES = """examples:
  python -m core classify picture.png -o scores.csv
  python -m core classify pictures_folder -o scores.csv
  python -m core classify scan.nii.gz -o scores.csv
  python -m core classify scans_folder -o scores.csv"""


@dataclass(frozen=True)
class _Input:
    """What gets one row: `name` is its path below the folder given, with forward slashes."""

    name: str
    path: Path
    is_picture: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `classify`."""
    parser.add_argument(
        "input", type=Path, help="picture, folder of pictures, scan, or folder of scans"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="table to write, CSV")
    parser.add_argument("--classifier", help="folder name in weights/ (default: the shipped one)")
    add_scan_arguments(parser)
    add_engine_argument(parser)


def run(options: argparse.Namespace, progress: TerminalProgress) -> Result:
    """Classifies every input and writes the table; fails only where none could be classified."""
    inputs = list_inputs(options.input, options.output)
    _refuse_for_several(options, len(inputs))
    refuse_overwriting([options.output], [one.path for one in inputs], option="-o")
    check_place(options.output, option="-o")
    classifier = load_classifier(options.classifier, engine=options.engine)
    rows = list(_classify_inputs(inputs, classifier, options, progress))
    write_text(options.output, table_text(rows))
    progress.clear()
    return _result(rows, classifier, options.output)


def _refuse_for_several(options: argparse.Namespace, count: int) -> None:
    """What is true of one scan need not be of the next."""
    given = {"--series": options.series not in (None, JOINED), "--orientation": options.orientation}
    for option, is_given in given.items():
        if is_given and count > 1:
            raise ConfigError(
                f"{option} applies to one scan only",
                got=f"{count} pictures and scans",
                expected="one scan",
                next_step="classify that scan alone",
            )


def list_inputs(path: Path, output: Path | None = None) -> tuple[_Input, ...]:
    """What gets a row each, in natural order of names; a folder without any gets none.

    In a folder a picture is an input, so is a volume file, an archive, and a folder with DICOM
    files in it. A folder of the public 20-case set holds its cases.

    Raises:
        LoadError: there is nothing at this path.
    """
    if not (exists(path) and os.path.isdir(path)):
        if not exists(path):
            check_file(path, expected="a picture or a scan")
        looks = is_picture(path) or path.name.lower().endswith(PICTURE_ENDINGS)
        return (_Input(path.name, path, looks and not is_dicom(path)),)
    if is_case_folder(path):
        cases = load_case_table(path)
        return tuple(_Input(case.case_id, case.scan_path, False) for case in cases)
    found = sorted(
        _below(path, output),
        key=lambda one: [natural_order(Path(part)) for part in one.name.split("/")],
    )
    if not found:
        raise LoadError(
            f"{shown_name(path)} holds nothing to classify",
            got="no picture and no scan",
            expected="PNG or JPEG slices, NIfTI files, zips or DICOM folders",
            next_step="choose the folder that holds them",
        )
    return tuple(found)


def _below(folder: Path, output: Path | None) -> Iterator[_Input]:
    written = None if output is None else os.path.realpath(output)
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(n for n in subfolders if not n.startswith(".") and n != "__MACOSX")
        paths = [Path(parent, name) for name in sorted(names) if not name.startswith(".")]
        paths = [path for path in paths if os.path.realpath(path) != written]
        relative = Path(parent).relative_to(folder)
        other = []
        for path in paths:
            ending = path.name.lower()
            if ending.endswith(PICTURE_ENDINGS):
                yield _Input((relative / path.name).as_posix(), path, True)
            elif ending.endswith(_SCAN_ENDINGS) and not is_dicom(path):
                yield _Input((relative / path.name).as_posix(), path, False)
            elif may_be_read(path):
                other.append(path)
        if any(is_dicom(path) for path in other):
            name = relative.as_posix() if relative.parts else folder.resolve().name
            yield _Input(name, Path(parent), False)


def _classify_inputs(
    inputs: tuple[_Input, ...],
    classifier: Classifier,
    options: argparse.Namespace,
    progress: TerminalProgress,
) -> Iterator[ScoreRow]:
    pictures = [one for one in inputs if one.is_picture]
    by_name: dict[str, ScoreRow] = {}
    for start in range(0, len(pictures), _PICTURES_AT_ONCE):

        def report(_: str, done: int, __: int, before: int = start) -> None:
            progress("classifying pictures", before + done, len(pictures))

        part = pictures[start : start + _PICTURES_AT_ONCE]
        for row in _classify_pictures(part, classifier, report):
            by_name[row.name] = row
    done = 0
    for one in inputs:
        if one.is_picture:
            yield by_name[one.name]
            continue
        progress("classifying scans", done, len(inputs) - len(pictures))
        done += 1
        yield _classify_scan(one, classifier, options, progress)


def _classify_pictures(
    part: list[_Input], classifier: Classifier, on_progress: OnProgress
) -> list[ScoreRow]:
    rows, opened = [], []
    for one in part:
        try:
            opened.append((one, open_picture(one.path)))
        except LungLensError as error:
            rows.append(ScoreRow(one.name, None, str(error)))
    if opened:
        verdicts = classify_pictures(
            [picture for _, picture in opened],
            classifier,
            segmenter=load_segmenter_for(classifier),
            on_progress=on_progress,
        )
        rows += [
            ScoreRow(one.name, verdict) for (one, _), verdict in zip(opened, verdicts, strict=True)
        ]
    return rows


def _classify_scan(
    one: _Input, classifier: Classifier, options: argparse.Namespace, progress: TerminalProgress
) -> ScoreRow:
    try:
        study = open_scan(options, progress, path=one.path)
        return ScoreRow(one.name, classify_volume(study.volume, None, classifier))
    except (LungLensError, MemoryError) as error:
        # One broken scan must not cost the others.
        return ScoreRow(one.name, None, str(error) or "There is not enough memory for this scan.")


def _result(rows: list[ScoreRow], classifier: Classifier, output: Path) -> Result:
    classified = [row for row in rows if row.verdict is not None]
    abstained = sum(row.verdict.abstained for row in rows if row.verdict is not None)
    lines = [
        f"{len(classified)} of {len(rows)} classified (abstained on {abstained}) by "
        f"{classifier.weights_id}; table in {output}"
    ]
    if len(rows) == 1:
        _, probability, band, _, reason = rows[0].cells()
        lines.append(f"probability {probability or 'not defined'}, {band or 'no band'}: {reason}")
    lines += [f"error: {row.error}" for row in rows if row.verdict is None][:20]
    lines.append(NOT_A_DIAGNOSIS)
    values: dict[str, Any] = {
        "note": NOT_A_DIAGNOSIS,
        "classifier": classifier.weights_id,
        "rows": [dict(zip(COLUMNS, row.cells(), strict=True)) for row in rows],
    }
    return Result("\n".join(lines), values, failed=not classified)
