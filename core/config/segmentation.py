"""From a scan to masks, and from masks to surfaces."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.config.loading import check_window
from core.config.preprocess import PreprocessConfig
from core.config.ranges import check_ranges
from core.config.words import EngineName
from core.errors import ConfigError


@dataclass(frozen=True)
class PostprocessConfig:
    """From probabilities to masks."""

    lung_threshold: float = 0.5
    infection_threshold: float = 0.5
    min_lung_part_fraction: float = 0.05
    """A connected part that holds less than this share of all lung is dropped."""
    max_hole_fraction: float = 0.1
    """Holes up to this share of a slice's lung area are filled; larger ones may be mediastinum."""
    min_lung_presence: float = 0.0
    """Slices that the network's slice head takes to show lung with less probability than this hold
    none; networks without such a head ignore it."""
    min_infection_presence: float = 0.0
    """The same for infection."""
    neighbour_share: float = 0.0
    """Weight of the two neighbouring slices together, in scans, not in pictures; at most two
    thirds, which is a plain mean of three."""

    def __post_init__(self) -> None:
        shares = ("min_lung_part_fraction", "max_hole_fraction")
        presences = ("min_lung_presence", "min_infection_presence")
        check_ranges(self, dict.fromkeys((*shares, *presences), (0.0, 1.0)))
        for name in ("lung_threshold", "infection_threshold"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ConfigError(
                    f"Setting {name} is out of range",
                    got=f"{getattr(self, name)}",
                    expected="a probability between 0 and 1",
                )
        if not 0.0 <= self.neighbour_share <= 2.0 / 3.0:
            raise ConfigError(
                "Setting neighbour_share is out of range",
                got=f"{self.neighbour_share:g}",
                expected="0 to 2/3",
            )


@dataclass(frozen=True)
class SegmentConfig:
    """How a scan is segmented."""

    weights_id: str | None = None
    """Folder name in `weights/`; none takes the manifest's default."""
    batch_size: int = 8
    preprocess: PreprocessConfig | None = None
    """None takes that of the weights, which they learned with."""
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
    turn_pictures: bool = True
    """Pictures carry no orientation: try the four quarter turns and take the most upright one."""

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= 256:
            raise ConfigError(
                "Batch size is out of range", got=f"{self.batch_size}", expected="1 to 256"
            )


@dataclass(frozen=True)
class BatchConfig:
    """How a folder of scans is worked through."""

    segment: SegmentConfig = field(default_factory=SegmentConfig)
    engine: EngineName | None = None
    """None takes what the environment asks for, else what is fastest."""
    workers: int = 1
    """Processes on this machine."""
    retry_failed: bool = False
    """Whether scans that failed before are tried again."""
    join_series: bool = False
    """Whether DICOM slices that each have a series of their own are taken as one scan."""
    follow_links: bool = False
    """Whether symbolic links are followed out of the folder."""
    window: tuple[float, float] | None = None
    """HU of black and white, for scans that are not in HU; none goes by what is recognised."""

    timeout_s: float | None = None
    """Seconds that the work on one scan may take; none sets no limit."""
    less_urgent: bool = False
    """Whether processes on this machine let other programs go first."""

    def __post_init__(self) -> None:
        if self.window is not None:
            check_window(*self.window)
        if self.timeout_s is not None and not 1.0 <= self.timeout_s <= 1e6:
            raise ConfigError(
                "The time limit of a scan is out of range",
                got=f"{self.timeout_s:g} s",
                expected="1 to 1000000 s",
            )
        if not 1 <= self.workers <= 256:
            raise ConfigError(
                "Number of workers is out of range", got=f"{self.workers}", expected="1 to 256"
            )


@dataclass(frozen=True)
class SurfaceConfig:
    """How finely masks are turned into surfaces to look at."""

    lung_cell_mm: float = 3.0
    infection_cell_mm: float = 1.8
    """Finer than the lung: a lesion may be a few voxels."""
    smoothing: float = 0.8
    """Sigma of the Gaussian, in cells."""
    max_triangles: int = 60_000
    """Of one surface; a finer one is built again from larger cells."""

    def __post_init__(self) -> None:
        for name, low in (("lung_cell_mm", 0.1), ("infection_cell_mm", 0.1), ("smoothing", 0.0)):
            if not low <= getattr(self, name) <= 50.0:
                raise ConfigError(
                    f"Setting {name} is out of range",
                    got=f"{getattr(self, name):g}",
                    expected=f"{low:g} to 50",
                )
        check_ranges(self, {"max_triangles": (1000, 10_000_000)})
