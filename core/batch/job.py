"""What a worker has to know, as plain values for JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from core.batch.find import FoundScan
from core.batch.places import FORMAT, BatchPaths
from core.config import EngineName, SegmentConfig, from_json_dict, to_json_dict

MOST_CRASHES = 3
"""How many worker processes one scan may end before it counts as failed."""


@dataclass(frozen=True)
class BatchJob:
    """One run over a folder, the same for all of its workers.

    Attributes:
        run_id: new for each run, so that a worker knows results of this run from older ones.
        weights_sha256: what the workers' own weights must be.
        colours: #RRGGBB of each channel's outline in thumbnails.
        window: HU of black and white, for scans that are not in HU.
        timeout_s: seconds that the work on one scan may take; none sets no limit.
    """

    folder: str
    output: str
    run_id: str
    segment: SegmentConfig
    engine: EngineName | None
    weights_sha256: str
    colours: dict[str, str]
    window: tuple[float, float] | None = None
    timeout_s: float | None = None

    @property
    def paths(self) -> BatchPaths:
        """Where results go."""
        return BatchPaths(Path(self.output))

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({**self.__dict__, "segment": to_json_dict(self.segment)})

    @classmethod
    def from_json(cls, text: str) -> BatchJob:
        """The inverse of `to_json`."""
        values = json.loads(text)
        window = values.get("window")
        values["window"] = None if window is None else (float(window[0]), float(window[1]))
        return cls(**{**values, "segment": from_json_dict(SegmentConfig, values["segment"])})


@dataclass(frozen=True)
class ScanTask:
    """One scan to work on, and what its result is to be known by."""

    scan: FoundScan
    fingerprint: str

    def to_json_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"scan": self.scan.to_json_dict(), "fingerprint": self.fingerprint}

    @classmethod
    def from_json_dict(cls, values: dict[str, Any]) -> ScanTask:
        """The inverse of `to_json_dict`."""
        return cls(FoundScan.from_json_dict(values["scan"]), str(values["fingerprint"]))


def fingerprint(scan: FoundScan, job: BatchJob) -> str:
    """Changes with the scan's files (name, size, time of change), the settings and the weights.

    What computes the network does not enter, nor how many slices at a time: a batch may go on on
    another machine.
    """
    settings = to_json_dict(job.segment)
    del settings["batch_size"]
    state: list[Any] = [FORMAT, settings, job.weights_sha256, scan.series_uid]
    if job.window is not None:
        state.append(job.window)
    for name in scan.inputs:
        try:
            found = (Path(job.folder) / name).stat()
            state.append([name, found.st_size, found.st_mtime_ns])
        except OSError:  # gone since it was found; opening it says so
            state.append([name, None, None])
    return blake2b(json.dumps(state, sort_keys=True).encode(), digest_size=16).hexdigest()
