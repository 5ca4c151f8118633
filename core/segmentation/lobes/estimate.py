"""Lobes of a scan from its lung mask."""

from __future__ import annotations

from core.errors import WeightsError
from core.measuring.lobes import LobeLabels, Lobes
from core.segmentation.lobes import checks
from core.segmentation.lobes.grid import network_input
from core.segmentation.lobes.pieces import join_fragments
from core.segmentation.lobes.resampling import Box, lungs_box, restore_labels, shrink_mask
from core.segmentation.lobes.weights import LobeNetwork, LobePredictor, load_lobe_network
from core.volume import BoolArray, Volume


def find_lobes(lung: BoolArray | None, volume: Volume) -> Lobes:
    """The lobes of a lung mask, by the installed network; or why there are none.

    Weights that are damaged are one of the reasons: lobes are an addition, and nothing else may
    fail for them.

    Args:
        lung: (i, j, k) on the canonical grid of `volume`; none where it is not known.
    """
    if lung is None:
        return Lobes(None, checks.NO_LUNG)
    try:
        network = load_lobe_network()
    except WeightsError as error:
        return Lobes(None, f"Lobes were not estimated. {error}")
    if network is None:
        return Lobes(None, checks.NO_WEIGHTS)
    return estimate_lobes(lung, volume, network)


def estimate_lobes(lung: BoolArray, volume: Volume, network: LobeNetwork) -> Lobes:
    """The lobes of a lung mask on the canonical grid of `volume`, or why there are none."""
    box = lungs_box(lung)
    fault = checks.find_fault(lung, volume, box)
    if fault or box is None:
        return Lobes(None, fault)
    mask = shrink_mask(lung, box, network.info.network.grid)
    fault = checks.find_odd_shape(mask, network.mean_lungs)
    if fault:
        return Lobes(None, fault)
    probabilities = network.predictor.predict(network_input(mask))
    fault = checks.find_doubt(probabilities, mask)
    if fault:
        return Lobes(None, fault)
    labels = restore_labels(probabilities, lung, box, finish=join_fragments)
    labels.flags.writeable = False
    info = network.info
    return Lobes(labels, mean_dice=info.mean_dice, weights_id=info.weights_id)


def label_lung(lung: BoolArray, predictor: LobePredictor, grid: tuple[int, int, int]) -> LobeLabels:
    """The lobes of a mask that is known to be of two lungs; see `estimate_lobes`."""
    box: Box | None = lungs_box(lung)
    assert box is not None
    mask = shrink_mask(lung, box, grid)
    probabilities = predictor.predict(network_input(mask))
    return restore_labels(probabilities, lung, box, finish=join_fragments)
