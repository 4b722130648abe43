"""A model page under a name of timm's registry, so that `timm.create_model` makes it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from spacedsl.compiler.integer_model import preprocess_for
from spacedsl.ir.subnet import Subnet
from spacedsl_runtime.checkpoint import check_shapes, load_weights, part, read_checkpoint
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import ForeignError
from spacedsl_runtime.foreign.package import timm_package
from spacedsl_runtime.foreign.timm_network import TimmNetwork

PREFIX = "spacedsl_"

default_cfgs: dict[str, dict[str, Any]] = {}
"""What timm knows of each registered network: its registry looks for this name in the module of the
functions that make networks."""


def register(subnet: Subnet, checkpoint: Path | None = None, name: str | None = None) -> str:
    """Give a model a name in timm's registry, and return the name: `spacedsl_` and the model's own
    with underscores, if no `name` is said. `checkpoint`: FP32 weights of the model's space, which
    `pretrained=True` loads. Raises `ForeignError`, `PlanError`, `CheckpointError`."""
    timm = timm_package("a name in timm's registry", ForeignError)
    said = name or PREFIX + subnet.name.replace("-", "_")
    if not said.isidentifier():
        raise ForeignError(f"{said[:60]!r} cannot be a name", "letters, digits and _: my_network")
    if timm.is_model(said) and said not in default_cfgs:
        raise ForeignError(f"timm has a network {said} already", "choose another name")
    header: dict[str, Any] = {}
    if checkpoint is None:
        supernet = load_supernet(subnet.of)
    else:
        header, tensors = read_checkpoint(checkpoint)
        supernet = load_supernet(subnet.of, header.get("channels"), header.get("classes"))
        load_weights(checkpoint, header, tensors, supernet)
    network = TimmNetwork(subnet, supernet=supernet)
    sizes, levels = (supernet.channels, supernet.classes), range(len(network.feature_info))
    default_cfgs[said] = _cfg(network, header, checkpoint)

    def make(pretrained: bool = False, **options: Any) -> Any:
        return timm.models.build_model_with_cfg(
            partial(TimmNetwork, subnet),
            said,
            pretrained,
            feature_cfg={"flatten_sequential": True, "out_indices": tuple(levels)},
            pretrained_filter_fn=partial(_weights, subnet, sizes),
            **options,
        )

    make.__name__ = make.__qualname__ = said
    with warnings.catch_warnings():  # of a name of ours that is given anew
        warnings.simplefilter("ignore")
        timm.models.register_model(make)
    return said


def _cfg(
    network: TimmNetwork, header: Mapping[str, Any], checkpoint: Path | None
) -> dict[str, Any]:
    """What timm knows of a network beside its code. `header`: of the checkpoint; where it says
    nothing of images, they are as the usual ones."""
    side, usual = network.subnet.resolution, preprocess_for(network.in_chans)
    first = next(n for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    said: dict[str, Any] = {
        "num_classes": network.num_classes,
        "input_size": (network.in_chans, side, side),
        "interpolation": "bilinear",
        "mean": tuple(header.get("mean", usual.mean)),
        "std": tuple(header.get("std", usual.std)),
        "crop_pct": header.get("crop") or 0.875,
        "first_conv": first,
        "classifier": "classifier" if network.has_classifier else None,
    }
    return said if checkpoint is None else said | {"file": str(checkpoint.absolute())}


def _weights(
    subnet: Subnet, sizes: tuple[int, int], tensors: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Tensor]:
    """The weights of a file as this network names them: its own, or those of a checkpoint of the
    page's space, with `sizes`, channels and classes."""
    theirs = part(tensors, "ema.module") or part(tensors, "model")
    if not theirs:
        return dict(tensors)
    supernet = load_supernet(subnet.of, *sizes)
    check_shapes(theirs, supernet.state_dict(), "the checkpoint")
    supernet.load_state_dict(theirs)
    return TimmNetwork(subnet, supernet=supernet).state_dict()
