"""A training's checkpoint: safetensors with a JSON header, replaced whole.

Tensors: `model.*`, `momentum.*` (by parameter), `ema.*`. Everything random follows from the seed
and the step (`seeds.py`), the learning rate and the position in the data from the step, so these
tensors and a few numbers are all there is to keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.swa_utils import AveragedModel

from spacedsl_runtime.elastic.supernet import Supernet
from spacedsl_runtime.errors import CheckpointError, DivergedError
from spacedsl_runtime.files import write_atomic

FORMAT = "spacedsl-training"
VERSION = 1
HEADER = "spacedsl"
"""The key of the JSON in the file's metadata."""


@dataclass(frozen=True)
class Progress:
    """Where a training is, besides its tensors: `log_bytes` of its metrics are written."""

    step: int = 0
    log_bytes: int = 0
    unreadable: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class State:
    """Everything that training changes."""

    model: Supernet
    optimiser: SGD
    average: AveragedModel | None = None

    def tensors(self) -> dict[str, Tensor]:
        """By name; momentum only of parameters that have some."""
        found = {f"model.{n}": t for n, t in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            momentum = self.optimiser.state.get(parameter, {}).get("momentum_buffer")
            if momentum is not None:
                found[f"momentum.{name}"] = momentum
        if self.average is not None:
            found |= {f"ema.{n}": t for n, t in self.average.state_dict().items()}
        return found

    def restore(self, found: Mapping[str, Tensor], path: Path) -> None:
        """Take over all tensors, or none: raises `CheckpointError` where they do not fit."""
        parameters = dict(self.model.named_parameters())
        parts: list[tuple[str, nn.Module]] = [("model", self.model)]
        if self.average is not None:
            parts.append(("ema", self.average))
        for prefix, module in parts:
            check_shapes(_part(found, prefix), module.state_dict(), path)
        momenta = _part(found, "momentum")
        check_shapes(momenta, {n: parameters[n] for n in momenta if n in parameters}, path)
        for prefix, module in parts:
            module.load_state_dict(_part(found, prefix))
        for name, momentum in momenta.items():
            buffer = torch.empty_like(parameters[name]).detach().copy_(momentum)
            self.optimiser.state[parameters[name]]["momentum_buffer"] = buffer


def save_state(path: Path, state: State, progress: Progress, stamp: Mapping[str, Any]) -> None:
    """Write a checkpoint. `stamp`: plain JSON, what is known of the run. Raises `DivergedError`
    for weights that are not numbers, `CheckpointError` where the file cannot be written; either
    way the checkpoint before is left as it was."""
    tensors = {n: t.detach().cpu().contiguous() for n, t in state.tensors().items()}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise DivergedError(f"{name} is not finite after step {progress.step}")
    header = {
        "format": FORMAT,
        "version": VERSION,
        **stamp_of(state.model),
        "page": state.model.plan.page,
        "step": progress.step,
        "log_bytes": progress.log_bytes,
        "unreadable": progress.unreadable,
        **stamp,
    }
    data = save(tensors, {HEADER: json.dumps(header)})
    help = f"the checkpoint before it is intact; make room ({len(data):,} bytes) and resume"
    write_atomic(path, lambda file: file.write(data), lambda why: CheckpointError(why, help))


def stamp_of(model: Supernet) -> dict[str, Any]:
    """What a model's weights belong to."""
    plan = model.plan
    return {
        "kind": plan.kind,
        "name": plan.name,
        "hash": plan.hash,
        "channels": model.channels,
        "classes": model.classes,
    }


def load_state(path: Path, state: State) -> Progress:
    """Take over a checkpoint. Raises `CheckpointError` for one that is missing, damaged, or of
    another space; nothing is changed then."""
    header, tensors = read_training(path)
    _check_stamp(path, header, state.model)
    try:
        progress = Progress(
            int(header["step"]), int(header["log_bytes"]), tuple(map(str, header["unreadable"]))
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} has no {error} in its header") from None
    state.restore(tensors, path)
    return progress


def load_weights(path: Path, model: Supernet) -> dict[str, Any]:
    """Load a training's weights, averaged ones where it kept an average, and return the header.
    Raises `CheckpointError`."""
    header, tensors = read_training(path)
    _check_stamp(path, header, model)
    averaged = _part(tensors, "ema.module")
    weights = averaged or _part(tensors, "model")
    check_shapes(weights, model.state_dict(), path)
    model.load_state_dict(weights)
    return header


def read_training(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a training's checkpoint. Raises `CheckpointError`."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(HEADER, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    except (SafetensorError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no checkpoint, or cut short: {error}") from None
    stamp = (header.get("format"), header.get("version")) if isinstance(header, dict) else None
    if stamp != (FORMAT, VERSION):
        raise CheckpointError(f"{path} is no checkpoint of a training, version {VERSION}")
    return header, tensors


def _check_stamp(path: Path, header: Mapping[str, Any], model: Supernet) -> None:
    for key, mine in stamp_of(model).items():
        if key != "name" and header.get(key) != mine:
            raise CheckpointError(
                f"{path} is of {header.get('name')}, {key} {header.get(key)}; "
                f"the model is of {model.plan.name}, {key} {mine}"
            )


def check_shapes(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    """Raises `CheckpointError` unless both have the same names and shapes."""
    for name in sorted(found.keys() | wanted.keys()):
        have = tuple(found[name].shape) if name in found else None
        want = tuple(wanted[name].shape) if name in wanted else None
        if have != want:
            raise CheckpointError(f"{path}: {name} is {have}, the model has {want}")


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
