"""How masks were corrected by hand, for pages and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

AlgorithmType = Literal["SEMIAUTOMATIC", "MANUAL"]


@dataclass(frozen=True)
class HandCorrection:
    """How masks came to differ from the network's.

    Attributes:
        from_network: whether the person began with the network's masks, not with nothing.
        steps: edits that lie between.
    """

    from_network: bool
    steps: int

    @property
    def text(self) -> str:
        """In words that fit into a header."""
        return "corrected by hand" if self.from_network else "drawn by hand"

    @property
    def algorithm_type(self) -> AlgorithmType:
        """The same in the terms of DICOM."""
        return "SEMIAUTOMATIC" if self.from_network else "MANUAL"

    @property
    def sentence(self) -> str:
        """The same for a person."""
        return (
            f"The masks were {self.text} ({self.steps_text}): all measurements are those of these "
            "masks."
        )

    @property
    def steps_text(self) -> str:
        """Such as "1 step"."""
        return f"{self.steps} step" + ("" if self.steps == 1 else "s")

    def to_json_dict(self) -> dict[str, Any]:
        """For files that programs read."""
        return {"text": self.text, "from_network": self.from_network, "steps": self.steps}
