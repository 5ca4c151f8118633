"""Networks: layers → functional graph → config."""

from core.models.unet import build_model, build_unet

__all__ = ["build_model", "build_unet"]
