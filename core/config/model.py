"""The network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.config.ranges import check_choice, check_ranges

EncoderName = Literal["plain", "lite0", "lite1", "lite2"]
Precision = Literal["auto", "float32", "bfloat16"]
"""What the layers of a network compute in; auto leaves it to the engine."""


@dataclass(frozen=True)
class ModelConfig:
    """A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) or U-Net++ (Zhou et al. 2018,
    arXiv:1807.10165), with a contracting half of its own or with an encoder."""

    architecture: Literal["unet", "unetpp"] = "unet"
    depth: int = 4
    width: int = 16
    normalization: Literal["batch", "group", "none"] = "batch"
    dropout: float = 0.0
    input_channels: int = 1
    output_channels: int = 2
    max_filters: int = 0
    """No level has more filters than this; 0 sets no bound. Most weights lie at the coarsest
    levels, which few scans fill."""
    deep_supervision: bool = False
    """Of a U-Net++: a head at every depth learns too, and prediction is their mean."""
    members: int = 1
    """Networks of this shape whose mean probability counts; each is trained by itself."""
    encoder: EncoderName = "plain"
    """What contracts: the network's own convolutions, or an EfficientNet-Lite, which has depth 5
    and filters of its own, so that width and bound hold for the expanding half alone."""
    slice_head: bool = False
    """With an encoder: whether it also tells if a slice shows lung, and if it shows infection."""

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, ("unet", "unetpp"))
        check_choice("normalization", self.normalization, ("batch", "group", "none"))
        check_choice("encoder", self.encoder, ("plain", "lite0", "lite1", "lite2"))
        check_ranges(
            self,
            {
                "depth": (1, 6),
                "width": (1, 256),
                "dropout": (0.0, 0.9),
                "input_channels": (1, 16),
                "output_channels": (1, 16),
                "max_filters": (0, 4096),
                "members": (1, 16),
            },
        )
