"""Checkpoints that know their space. Loaded without pickle's code (`weights_only`)."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from spacedsl_runtime.elastic.supernet import ElasticStages
from spacedsl_runtime.errors import CheckpointError

FORMAT = "spacedsl-checkpoint"
VERSION = 1


def save_checkpoint(
    path: Path | str, model: ElasticStages, extra: Mapping[str, Any] | None = None
) -> None:
    """Write the weights with their plan's hash and page, whole or not at all. `extra`: tensors,
    numbers, strings and containers of them."""
    target = Path(path)
    data = {
        "format": FORMAT,
        "version": VERSION,
        "kind": model.plan.kind,
        "name": model.plan.name,
        "hash": model.plan.hash,
        "page": model.plan.page,
        "channels": model.channels,
        "classes": model.classes,
        "state": model.state_dict(),
        "extra": dict(extra or {}),
    }
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                torch.save(data, file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from None


def load_checkpoint(path: Path | str, model: ElasticStages) -> dict[str, Any]:
    """Load the weights into `model` and return `extra`. Raises `CheckpointError` for a file that
    is missing or damaged, and for one of another space, naming both."""
    data = _read(path)
    stamp = (data.get("format"), data.get("version"))
    if stamp != (FORMAT, VERSION):
        raise CheckpointError(
            f"{path} has format {stamp[0]!r}, version {stamp[1]!r}; "
            f"this runtime reads {FORMAT!r}, version {VERSION}"
        )
    plan = model.plan
    for key, mine in (
        ("kind", plan.kind),
        ("hash", plan.hash),
        ("name", plan.name if plan.kind == "bkd" else data.get("name")),
        ("channels", model.channels),
        ("classes", model.classes),
    ):
        if data.get(key) != mine:
            raise CheckpointError(
                f"{path} is of {data.get('name')}, {key} {data.get(key)}; "
                f"the model is of {plan.name}, {key} {mine}"
            )
    _load_state(path, model, data.get("state"))
    extra = data.get("extra")
    return extra if isinstance(extra, dict) else {}


def _read(path: Path | str) -> dict[str, Any]:
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    except (RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is no checkpoint, or cut short: {reason}") from None
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} is no checkpoint of spacedsl")
    return data


def _load_state(path: Path | str, model: ElasticStages, state: object) -> None:
    """Nothing is loaded unless every tensor fits."""
    mine = model.state_dict()
    found = cast(dict[str, Tensor], state if isinstance(state, dict) else {})
    for name in sorted(mine.keys() | found.keys()):
        have = tuple(found[name].shape) if name in found else None
        want = tuple(mine[name].shape) if name in mine else None
        if have != want:
            raise CheckpointError(f"{path}: {name} is {have}, the model has {want}")
    model.load_state_dict(found)
