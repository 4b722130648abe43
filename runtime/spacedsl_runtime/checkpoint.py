"""Checkpoints: safetensors with a JSON header, replaced whole.

They know their space and, in QAT, their 8-bit tensors. Tensors: `model.*`, of a training also
`momentum.*` and `ema.*` (`train/state.py`), and `extra.*`. The header has a checksum of itself and
of every tensor."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from spacedsl.checksum import KEY, checksum, damaged
from spacedsl.compiler.supernet import PlanRules
from spacedsl.ir.reparam import Counts, counts_of
from spacedsl.operators.operators import MAX_REPARAM
from spacedsl_runtime.elastic.supernet import ElasticStages
from spacedsl_runtime.errors import CheckpointError, shown
from spacedsl_runtime.files import write_atomic
from spacedsl_runtime.quant.qat import QatSupernet

FORMAT = "spacedsl-checkpoint"
VERSION = 3
HEADER = "spacedsl"
"""The key of the JSON in the file's metadata."""

QAT = "qat"
REPARAM = "reparam"
"""As how many convolutions each was trained, where the page says it (`spacedsl.ir.reparam`)."""

INTACT = "the file that was there before, if any, is intact"

Model = ElasticStages | QatSupernet


def save_checkpoint(path: Path | str, model: Model, extra: Mapping[str, Any] | None = None) -> None:
    """Write the weights (in QAT, quantisers included) with their plan's hash and page, whole or not
    at all. `extra`: tensors by name, and plain JSON. Raises `CheckpointError`."""
    tensors = {f"model.{n}": t for n, t in model.state_dict().items()}
    plain: dict[str, Any] = {}
    for name, value in (extra or {}).items():
        if isinstance(value, Tensor):
            tensors[f"extra.{name}"] = value
        else:
            plain[name] = value
    write_checkpoint(path, model, tensors, {"extra": plain})


def load_checkpoint(path: Path | str, model: Model) -> dict[str, Any]:
    """Load the weights into `model` (averaged ones where a training kept an average) and return
    `extra`; a QAT model gets the quantisers that the file has. Raises `CheckpointError` for a file
    that is missing or damaged, and for one of another space, kind or set of 8-bit tensors, naming
    both; nothing is loaded then."""
    header, tensors = read_checkpoint(path)
    load_weights(path, header, tensors, model)
    extra = header.get("extra")
    return (extra if isinstance(extra, dict) else {}) | part(tensors, "extra")


def write_checkpoint(
    path: Path | str, model: Model, tensors: Mapping[str, Tensor], more: Mapping[str, Any]
) -> None:
    """Write tensors, and a header that identifies the model and holds `more`. Raises
    `CheckpointError` where that is no plain JSON or the file cannot be written."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        **identity_of(model),
        "page": model.plan.page,
        **more,
    }
    plain = {n: t.detach().cpu().contiguous() for n, t in tensors.items()}
    try:
        text = json.dumps({**header, KEY: _checksum(header, plain)})
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: what goes with the weights is no plain JSON: {error}"
        ) from None
    data = save(plain, {HEADER: text})
    help = f"{INTACT}; {len(data):,} bytes are needed"
    write_atomic(path, lambda file: file.write(data), lambda why: CheckpointError(why, help))


def _checksum(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    return checksum([json.dumps(header).encode(), *tensor_bytes(tensors)])


def tensor_bytes(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """Names, types, shapes and values of tensors, for their checksum."""
    for name, tensor in sorted(tensors.items()):
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
        yield tensor.contiguous().flatten().view(torch.uint8).numpy().data


def read_checkpoint(path: Path | str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a checkpoint. Raises `CheckpointError`, also for one that is not as it
    was written."""
    if Path(path).is_dir():
        raise CheckpointError(f"{path} is a folder", "name the .safetensors file that is in it")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(HEADER, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    except (SafetensorError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no checkpoint, or cut short: {error}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no checkpoint of spacedsl")
    if header.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has version {header.get('version')!r}; this runtime reads version {VERSION}"
        )
    if header.pop(KEY, None) != _checksum(header, tensors):
        raise CheckpointError(damaged(path), "take a copy of it, or train again")
    return header, tensors


def identity_of(model: Model) -> dict[str, Any]:
    """What two models must agree on to have each other's weights, and their names."""
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
    counts = counts_of(plan.space)
    found |= {REPARAM: list(counts)} if counts else {}
    return found | ({"rules": said(model.rules)} if isinstance(model, QatSupernet) else {})


def said(rules: PlanRules) -> dict[str, Any]:
    """A target's rules as plain JSON."""
    return rules.model_dump(mode="json") | {"acts": dict(rules.acts)}


def check_identity(path: Path | str, header: Mapping[str, Any], model: Model) -> None:
    """Raises `CheckpointError` unless the file's weights can be the model's."""
    mine = identity_of(model)
    for key in ("kind", "hash", "name", "channels", "classes"):
        renamed = key == "name" and mine["kind"] != "bkd"  # a space may be renamed
        if header.get(key) != mine[key] and not renamed:
            raise CheckpointError(_differs(path, header, mine, key))
    for have, want in zip_longest(trained_as(header), mine.get(REPARAM, ()), fillvalue=0):
        if have != want:
            raise CheckpointError(
                f"{path} has a convolution that was trained {_as(have)}; {mine['name']} trains it "
                f"{_as(want)}",
                "name the page that it was trained by: it is in the folder of the training",
            )
    if isinstance(model, QatSupernet):
        check_rules(path, header.get("rules"), mine["rules"])


def trained_as(header: Mapping[str, Any]) -> Counts:
    """As how many convolutions each was trained, by a checkpoint's header. Raises
    `CheckpointError`."""
    found = header.get(REPARAM, [])
    if not (isinstance(found, list) and all(n in range(MAX_REPARAM + 1) for n in found)):
        raise CheckpointError(f"the checkpoint says {REPARAM} {found}, which are no numbers of it")
    return tuple(found)


def _as(count: object) -> str:
    return f"with `reparam {count}`" if count else "without `reparam`"


def _differs(path: Path | str, theirs: Mapping[str, Any], mine: Mapping[str, Any], key: str) -> str:
    have, want = (shown(values.get(key)) for values in (theirs, mine))
    message = (
        f"{path} is of {theirs.get('name')}, {key} {have}; the model is of {mine['name']}, "
        f"{key} {want}"
    )
    if key == "kind" and mine[key] == QAT:
        message += ": load the weights into its supernet, then start QAT"
    return message


def check_rules(path: Path | str, found: object, wanted: Mapping[str, Any]) -> None:
    """Raises `CheckpointError` for quantisers of another set of 8-bit tensors; its target and
    runtime may differ. Both as `said`."""
    have = found if isinstance(found, dict) else {}
    for key in sorted(wanted.keys() - {"target", "runtime"}):
        if have.get(key) != wanted[key]:
            raise CheckpointError(
                f"{path} was trained for {have.get('target')} ({have.get('runtime')}), "
                f"{key} {have.get(key)}; the model's plan is for {wanted['target']} "
                f"({wanted['runtime']}), {key} {wanted[key]}"
            )


def load_weights(
    path: Path | str, header: Mapping[str, Any], tensors: Mapping[str, Tensor], model: Model
) -> None:
    """Load what was read of a checkpoint, or raise `CheckpointError` and load nothing."""
    check_identity(path, header, model)
    weights = part(tensors, "ema.module") or part(tensors, "model")
    if isinstance(model, QatSupernet):
        made = quantisers_of(path, weights, model)
        mine = {**model.supernet.state_dict(prefix="supernet."), **made.state_dict()}
        check_shapes(weights, mine, path)
        model.adopt(made)
    else:
        check_shapes(weights, model.state_dict(), path)
    model.load_state_dict(weights)


def quantisers_of(
    path: Path | str, names: Iterable[str], model: QatSupernet
) -> torch.nn.ModuleDict:
    """New quantisers for the names of a QAT model's state. Raises `CheckpointError`."""
    try:
        return model.quantisers_for(names)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def check_shapes(
    found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path | str
) -> None:
    """Raises `CheckpointError` unless both have the same names and shapes."""
    for name in sorted(found.keys() | wanted.keys()):
        have = tuple(found[name].shape) if name in found else None
        want = tuple(wanted[name].shape) if name in wanted else None
        if have != want:
            raise CheckpointError(f"{path}: {name} is {have}, the model has {want}")


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    start = f"{prefix}."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
