"""What plans run on: elastic supernets, LSQ+, block-wise distillation. What layers, members and
samples are is said in the torch-free packages of `spacedsl`; nothing there imports this one.

Names below are imported when first used, so that the torch-free ones start without torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spacedsl_runtime.checkpoint import load_checkpoint as load_checkpoint
    from spacedsl_runtime.checkpoint import save_checkpoint as save_checkpoint
    from spacedsl_runtime.distill.stage import load_bkd_stage as load_bkd_stage
    from spacedsl_runtime.elastic.recalibrate import recalibrate as recalibrate
    from spacedsl_runtime.elastic.static import folded as folded
    from spacedsl_runtime.elastic.supernet import load_supernet as load_supernet
    from spacedsl_runtime.plan import read_plan as read_plan
    from spacedsl_runtime.plan import read_subnet as read_subnet
    from spacedsl_runtime.quant.deployment import deploy as deploy
    from spacedsl_runtime.quant.qat import QatSupernet as QatSupernet

_HOMES = {
    "QatSupernet": "quant.qat",
    "deploy": "quant.deployment",
    "folded": "elastic.static",
    "load_bkd_stage": "distill.stage",
    "load_checkpoint": "checkpoint",
    "load_supernet": "elastic.supernet",
    "read_plan": "plan",
    "read_subnet": "plan",
    "recalibrate": "elastic.recalibrate",
    "save_checkpoint": "checkpoint",
}

__all__ = [
    "QatSupernet",
    "deploy",
    "folded",
    "load_bkd_stage",
    "load_checkpoint",
    "load_supernet",
    "read_plan",
    "read_subnet",
    "recalibrate",
    "save_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
