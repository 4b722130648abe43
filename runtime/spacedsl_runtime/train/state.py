"""A training's checkpoint: its model's (`spacedsl_runtime.checkpoint`), and what going on needs.

Tensors: `model.*`, `momentum.*` (by parameter), `ema.*`, `begun.*` (what the scales of quantisers
were at the start). Everything random follows from the seed and the step (`seeds.py`), the learning
rate and the position in the data from the step, so these tensors and a few numbers are all there
is to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.swa_utils import AveragedModel

from spacedsl_runtime import checkpoint
from spacedsl_runtime.checkpoint import check_identity, check_shapes, part, write_checkpoint
from spacedsl_runtime.elastic.supernet import Supernet
from spacedsl_runtime.errors import CheckpointError, DivergedError
from spacedsl_runtime.quant.qat import QatSupernet

Trained = Supernet | QatSupernet
"""What a training trains."""


@dataclass(frozen=True)
class Progress:
    """Where a training is, besides its tensors: `log_bytes` of its metrics are written."""

    step: int = 0
    log_bytes: int = 0
    unreadable: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class State:
    """Everything that training changes. A QAT model has its quantisers; `begun` is what their
    scales were at the start (`scales_of`)."""

    model: Trained
    optimiser: SGD
    average: AveragedModel | None = None
    begun: dict[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """By name; momentum only of parameters that have some."""
        found = {f"model.{n}": t for n, t in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            momentum = self.optimiser.state.get(parameter, {}).get("momentum_buffer")
            if momentum is not None:
                found[f"momentum.{name}"] = momentum
        if self.average is not None:
            found |= {f"ema.{n}": t for n, t in self.average.state_dict().items()}
        return found | {f"begun.{n}": t for n, t in self.begun.items()}

    def moved(self) -> dict[str, float]:
        """The median and the largest share of what it was by which a scale is another one; none
        without quantisers."""
        if not self.begun:
            return {}
        now = scales_of(self.model)
        shares = torch.stack([(now[name] / was - 1).abs() for name, was in self.begun.items()])
        return {"median": float(shares.median()), "largest": float(shares.max())}

    def restore(self, found: Mapping[str, Tensor], path: Path) -> None:
        """Take over all tensors, or none: raises `CheckpointError` where they do not fit."""
        parameters = dict(self.model.named_parameters())
        parts: list[tuple[str, nn.Module]] = [("model", self.model)]
        if self.average is not None:
            parts.append(("ema", self.average))
        for prefix, module in parts:
            check_shapes(part(found, prefix), module.state_dict(), path)
        momenta = part(found, "momentum")
        check_shapes(momenta, {n: parameters[n] for n in momenta if n in parameters}, path)
        begun = part(found, "begun")
        check_shapes(begun, self.begun if begun else {}, path)
        for prefix, module in parts:
            module.load_state_dict(part(found, prefix))
        for name, momentum in momenta.items():
            buffer = torch.empty_like(parameters[name]).detach().copy_(momentum)
            self.optimiser.state[parameters[name]]["momentum_buffer"] = buffer
        for name, scale in (begun or scales_of(self.model)).items():
            self.begun[name].copy_(scale)


def scales_of(model: Trained) -> dict[str, Tensor]:
    """Copies of the scales of a QAT model's quantisers by the parameter's name; none of another."""
    quantised = isinstance(model, QatSupernet)
    names = [n for n, _ in model.named_parameters() if n.endswith(".scale")] if quantised else []
    return {name: model.get_parameter(name).detach().clone() for name in names}


def save_state(path: Path, state: State, progress: Progress, stamp: Mapping[str, Any]) -> None:
    """Write a checkpoint. `stamp`: plain JSON, what is known of the run. Raises `DivergedError`
    for weights that are not numbers, `CheckpointError` where the file cannot be written; either
    way the checkpoint before is left as it was."""
    tensors = state.tensors()
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise DivergedError(f"{name} is not finite after step {progress.step}")
    write_checkpoint(path, state.model, tensors, {**vars(progress), **stamp})


def load_state(path: Path, state: State) -> Progress:
    """Take over a checkpoint. Raises `CheckpointError` for one that is missing, damaged, or of
    another space; nothing is changed then."""
    header, tensors = read_training(path)
    check_identity(path, header, state.model)
    try:
        progress = Progress(
            int(header["step"]), int(header["log_bytes"]), tuple(map(str, header["unreadable"]))
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} has no {error} in its header") from None
    state.restore(tensors, path)
    return progress


def load_weights(path: Path, model: Trained) -> dict[str, Any]:
    """Load a training's weights, averaged ones where it kept an average, and return the header.
    Raises `CheckpointError`."""
    header, tensors = read_training(path)
    checkpoint.load_weights(path, header, tensors, model)
    return header


def read_training(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a training's checkpoint. Raises `CheckpointError`."""
    header, tensors = checkpoint.read_checkpoint(path)
    if type(header.get("step")) is not int:
        raise CheckpointError(f"{path} is no checkpoint of a training")
    return header, tensors
