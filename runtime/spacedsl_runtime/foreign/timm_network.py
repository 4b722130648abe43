"""A model of a page in the form that timm's own networks have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import pair
from spacedsl.passes.bound import last_layer
from spacedsl.passes.program import Layer, Program, Step
from spacedsl_runtime.checkpoint import write_checkpoint
from spacedsl_runtime.elastic.static import Reparam, build_static
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.elastic.weights import Arrays, trained_weights, write_weights
from spacedsl_runtime.errors import ForeignError
from spacedsl_runtime.foreign.package import timm_package


class TimmNetwork(nn.Module):
    """What timm asks of a network: its features, its head, a classifier that can be replaced.

    `stages` are the page's, up to the head. `conv_head` is what the head has before its global
    pool, `pre_logits` what it has between pool and classifier. A page without a head gets pool and
    classifier alone. Images may have any size."""

    def __init__(
        self,
        subnet: Subnet,
        num_classes: int | None = None,
        in_chans: int | None = None,
        global_pool: str = "avg",
        drop_rate: float | None = None,
        supernet: Supernet | None = None,
    ) -> None:
        """`supernet`: whose weights are copied; else they are random, by PyTorch's generator. What
        is None is the page's."""
        super().__init__()
        if supernet is None:
            seed = int(torch.randint(2**31, ()))
            supernet = load_supernet(subnet.of, in_chans, num_classes or None, seed)
        body, inner, after, classifier = _cut(supernet.program(subnet))
        weights = supernet.weights_at
        stages = [tuple(steps) for _, steps in groupby(body, _stage_of)]
        self.subnet, self.in_chans = subnet, supernet.channels
        self.grad_checkpointing = False
        self.stages = nn.Sequential(*(build_static(steps, weights) for steps in stages))
        self.conv_head = build_static(inner, weights)
        self.num_features = _width((*body, *inner))
        kept = [step for step in after if not _is(step, "dropout")]
        self.pre_logits = build_static(tuple(kept), weights)
        self.head_hidden_size = _width((*body, *inner, *kept))
        rates = [step.rate for step in after if isinstance(step, Layer) and _is(step, "dropout")]
        said = rates[-1] if rates else 0.0
        self.drop_rate = said if drop_rate is None else drop_rate
        self.feature_info = _feature_info(stages)
        self.classifier: nn.Module = nn.Identity()
        self.reset_classifier(num_classes or 0, global_pool)
        self.has_classifier = classifier is not None
        if classifier is not None and num_classes != 0:
            self.classifier = build_static((classifier,), weights)[0].get_submodule("linear")
            self.num_classes = supernet.classes

    def get_classifier(self) -> nn.Module:
        """The last linear layer, or the identity."""
        return self.classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Another classifier, with random weights; of 0 classes none. An empty `global_pool` leaves
        maps as they are."""
        if global_pool is not None:
            layers = timm_package("a network of timm", ForeignError).layers
            self.global_pool = layers.SelectAdaptivePool2d(pool_type=global_pool)
            if self.global_pool.feat_mult() != 1:
                message = f"global_pool={global_pool!r} gives the head other channels than it takes"
                raise ForeignError(message, "avg, max, avgmax, or '' for none")
            self.flatten = nn.Flatten(1) if global_pool else nn.Identity()
        self.num_classes = num_classes
        width = self.head_hidden_size
        self.classifier = nn.Linear(width, num_classes) if num_classes else nn.Identity()

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Whether the backward pass computes the maps within stages again."""
        self.grad_checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Which parameters belong together, as timm's optimisers ask."""
        return {"stem": r"^stages\.0\.", "blocks": r"^stages\.(\d+)\."}

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, in_chans, R, R) -> the last map (N, num_features, R / 32, R / 32)."""
        if self.grad_checkpointing:
            models = timm_package("a network of timm", ForeignError).models
            x = models.checkpoint_seq(self.stages, x)
        else:
            x = self.stages(x)
        found: Tensor = self.conv_head(x)
        return found

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last map -> (N, num_classes), or what the classifier sees."""
        x = self.flatten(self.pre_logits(self.global_pool(x)))
        if self.drop_rate:
            x = F.dropout(x, self.drop_rate, self.training)
        found: Tensor = x if pre_logits else self.classifier(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chans, R, R) -> (N, num_classes)."""
        return self.forward_head(self.forward_features(x))

    def save_checkpoint(self, path: str | Path) -> None:
        """Write the weights as a checkpoint of the page's space, from which `spacedsl export`
        makes an INT8 file. Weights that this network has not are random there. Raises
        `ForeignError` where the page's classifier was taken away, and `CheckpointError`."""
        if self.has_classifier and not self.num_classes:
            raise ForeignError(f"{self.subnet.name} has lost its classifier", "reset_classifier(N)")
        supernet = load_supernet(self.subnet.of, self.in_chans, self.num_classes or None)
        program = supernet.program(self.subnet)
        for (_, target), source in zip(
            trained_weights(supernet, program), self._arrays(), strict=True
        ):
            write_weights(target, source)
        tensors = {f"model.{name}": tensor for name, tensor in supernet.state_dict().items()}
        cfg = cast(dict[str, Any], self.pretrained_cfg)  # timm gives it to the networks it makes
        about = {name: [float(v) for v in cfg[name]] for name in ("mean", "std")}
        more = {"crop": float(cfg["crop_pct"]), "labels": [], "weights_from": "a training by timm"}
        write_checkpoint(path, supernet, tensors, about | more)

    def _arrays(self) -> Iterator[Arrays]:
        """The weights, convolution by convolution, in the order in which they run."""
        for module in self.modules():
            conv, norm = getattr(module, "conv", None), getattr(module, "norm", None)
            if isinstance(conv, Reparam):
                yield conv.arrays()
            elif isinstance(conv, nn.Conv2d):
                found = {"weight": conv.weight}
                if conv.bias is not None:
                    found["bias"] = conv.bias
                if isinstance(norm, nn.BatchNorm2d):
                    found |= {"gamma": norm.weight, "beta": norm.bias}
                    state = norm.state_dict()
                    found |= {"mean": state["running_mean"], "var": state["running_var"]}
                yield found
        if self.has_classifier:
            classifier = cast(nn.Linear, self.classifier)
            yield {"weight": classifier.weight[:, :, None, None], "bias": classifier.bias}


def _stage_of(step: Step) -> int:
    """The stage that a step stands in."""
    return last_layer(step).at[0]


def _cut(program: Program) -> tuple[Program, Program, Program, Layer | None]:
    """A program in four: up to the head, the head before its global pool, the head after it, and
    the classifier."""
    last = program[-1]
    classifier = last if isinstance(last, Layer) and last.kind == "linear" else None
    if classifier is None:
        return program, (), (), None
    rest = program[:-1]
    pools = [i for i, step in enumerate(rest) if _is(step, "pool")]
    end = pools[-1] if pools else len(rest)
    head = classifier.at[0]
    body = tuple(step for step in rest[:end] if _stage_of(step) != head)
    inner = tuple(step for step in rest[:end] if _stage_of(step) == head)
    return body, inner, rest[end + 1 :], classifier


def _is(step: Step, kind: str) -> bool:
    return isinstance(step, Layer) and step.kind == kind


def _width(program: Sequence[Step]) -> int:
    """The channels that come out of a program."""
    return last_layer(program[-1]).cout


def _stride(program: Program) -> int:
    """By what a program divides the side of its input."""
    return prod(
        pair(step.stride)[0] if isinstance(step, Layer) else max(map(_stride, step.branches))
        for step in program
    )


def _feature_info(stages: Sequence[Program]) -> list[dict[str, Any]]:
    """The last stage of each stride, as timm lists features."""
    found: dict[int, dict[str, Any]] = {}
    stride = 1
    for i, steps in enumerate(stages):
        stride *= _stride(steps)
        found[stride] = {"num_chs": _width(steps), "reduction": stride, "module": f"stages.{i}"}
    return list(found.values())
