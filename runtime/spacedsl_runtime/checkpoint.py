"""Checkpoints that know their space and, in QAT, their 8-bit tensors. Loaded without pickle's code
(`weights_only`)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from spacedsl_runtime.elastic.supernet import ElasticStages
from spacedsl_runtime.errors import CheckpointError
from spacedsl_runtime.files import write_atomic
from spacedsl_runtime.plan import Rules
from spacedsl_runtime.quant.qat import QatSupernet

FORMAT = "spacedsl-checkpoint"
VERSION = 1
QAT = "qat"


def save_checkpoint(
    path: Path | str, model: ElasticStages | QatSupernet, extra: Mapping[str, Any] | None = None
) -> None:
    """Write the weights (in QAT, quantisers included) with their plan's hash and page, whole or not
    at all. `extra`: tensors, numbers, strings and containers of them. Raises `CheckpointError`."""
    data = {
        "format": FORMAT,
        "version": VERSION,
        **_identity(model),
        "page": model.plan.page,
        "state": model.state_dict(),
        "extra": dict(extra or {}),
    }
    write_atomic(path, lambda file: torch.save(data, file), CheckpointError)


def _identity(model: ElasticStages | QatSupernet) -> dict[str, Any]:
    """What two models must agree on to have each other's weights."""
    quantised = isinstance(model, QatSupernet)
    stages = model.supernet if isinstance(model, QatSupernet) else model
    plan = stages.plan
    found = {
        "kind": QAT if quantised else plan.kind,
        "name": plan.name,
        "hash": plan.hash,
        "channels": stages.channels,
        "classes": stages.classes,
    }
    return found | ({"rules": _said(model.rules)} if isinstance(model, QatSupernet) else {})


def _said(rules: Rules) -> dict[str, Any]:
    found = asdict(rules)
    return found | {"acts": dict(rules.acts)}


def load_checkpoint(path: Path | str, model: ElasticStages | QatSupernet) -> dict[str, Any]:
    """Load the weights into `model` and return `extra`; a QAT model gets the quantisers that the
    file has. Raises `CheckpointError` for a file that is missing or damaged, and for one of another
    space, kind or set of 8-bit tensors, naming both."""
    data = _read(path)
    stamp = (data.get("format"), data.get("version"))
    if stamp != (FORMAT, VERSION):
        raise CheckpointError(
            f"{path} has format {stamp[0]!r}, version {stamp[1]!r}; "
            f"this runtime reads {FORMAT!r}, version {VERSION}"
        )
    mine = _identity(model)
    if mine["kind"] != "bkd":
        mine["name"] = data.get("name")  # a space may be renamed
    for key in ("kind", "hash", "name", "channels", "classes"):
        if data.get(key) != mine.get(key):
            raise CheckpointError(_differs(path, data, mine | {"name": model.plan.name}, key))
    if isinstance(model, QatSupernet):
        _check_rules(path, data.get("rules"), mine["rules"])
    _load_state(path, model, data.get("state"))
    extra = data.get("extra")
    return extra if isinstance(extra, dict) else {}


def _differs(path: Path | str, theirs: dict[str, Any], mine: dict[str, Any], key: str) -> str:
    message = (
        f"{path} is of {theirs.get('name')}, {key} {theirs.get(key)}; "
        f"the model is of {mine['name']}, {key} {mine.get(key)}"
    )
    if key == "kind" and mine[key] == QAT:
        message += ": load the weights into its supernet, then start QAT"
    return message


def _check_rules(path: Path | str, found: object, wanted: dict[str, Any]) -> None:
    """Refuse quantisers of another set of 8-bit tensors; its target and runtime may differ."""
    have = found if isinstance(found, dict) else {}
    for key in sorted(wanted.keys() - {"target", "runtime"}):
        if have.get(key) != wanted[key]:
            raise CheckpointError(
                f"{path} was trained for {have.get('target')} ({have.get('runtime')}), "
                f"{key} {have.get(key)}; the model's plan is for {wanted['target']} "
                f"({wanted['runtime']}), {key} {wanted[key]}"
            )


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


def _load_state(path: Path | str, model: ElasticStages | QatSupernet, state: object) -> None:
    """Nothing is loaded unless every tensor fits."""
    named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
    found = cast(dict[str, Tensor], state if named else {})
    if isinstance(model, QatSupernet):
        try:
            made = model.quantisers_for(found)
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}") from None
        mine = {**model.supernet.state_dict(prefix="supernet."), **made.state_dict()}
    else:
        made, mine = None, model.state_dict()
    for name in sorted(mine.keys() | found.keys()):
        have = tuple(found[name].shape) if isinstance(found.get(name), Tensor) else None
        want = tuple(mine[name].shape) if name in mine else None
        if have != want:
            raise CheckpointError(f"{path}: {name} is {have}, the model has {want}")
    if isinstance(model, QatSupernet) and made is not None:
        model.adopt(made)
    model.load_state_dict(found)
