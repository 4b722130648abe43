"""timm's networks: made with given, pretrained or random weights, and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from spacedsl_runtime.checkpoint import write_checkpoint
from spacedsl_runtime.errors import ForeignError
from spacedsl_runtime.foreign.package import reason, timm_package
from spacedsl_runtime.foreign.read import Read, read_network

WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
"""The keys under which training programs keep a network's weights, averaged ones first."""

UNCOUNTED = "num_batches_tracked"
"""The number of batches that a batch norm has seen. Nothing computes with it."""


@dataclass(frozen=True)
class Wanted:
    """A network by timm's name, and where its weights are from: a file, timm's pretrained ones, or
    random ones of a seed. `resolution`: in pixels, else as timm has it."""

    name: str
    weights: Path | None = None
    pretrained: bool = False
    seed: int = 0
    resolution: int | None = None

    @property
    def weights_from(self) -> str:
        """Where the weights are from, in words."""
        if self.weights is not None:
            return f"weights of {self.weights}"
        return "timm's pretrained weights" if self.pretrained else f"seed {self.seed}, untrained"


def import_network(wanted: Wanted, item: str, checkpoint: Path) -> Read:
    """Read a network of timm as the model `item`, and write its weights as the checkpoint of its
    space. Raises `ForeignError`, `CheckpointError`."""
    network = make(wanted)
    cfg = network.pretrained_cfg
    channels, side = _channels(network), wanted.resolution or int(cfg["input_size"][1])
    found = read_network(network, item, (channels, side), *operations())
    half = (0.5,) * channels
    usual = len(cfg["mean"]) == channels
    about = {
        "mean": [float(v) for v in (cfg["mean"] if usual else half)],
        "std": [float(v) for v in (cfg["std"] if usual else half)],
        "crop": float(cfg["crop_pct"]),
        "labels": [],
        "weights_from": wanted.weights_from,
    }
    tensors = {f"model.{name}": tensor for name, tensor in found.supernet.state_dict().items()}
    write_checkpoint(checkpoint, found.supernet, tensors, about)
    return found


def operations() -> tuple[tuple[type[nn.Module], ...], list[Callable[..., Any]]]:
    """timm's modules and functions that are one operation each."""
    layers = timm_package("this", ForeignError).layers
    whole = (layers.SelectAdaptivePool2d, layers.SpaceToDepth, *layers.get_notrace_modules())
    return whole, layers.get_notrace_functions()


def make(wanted: Wanted) -> Any:
    """The network, its train-time branches folded. Raises `ForeignError`."""
    timm = timm_package(f"timm:{wanted.name}", ForeignError)
    name = wanted.name.partition(".")[0]
    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=1)
        help = f"did you mean timm:{close[0]}?" if close else "timm.list_models() lists all"
        raise ForeignError(f"timm has no model {name[:60]!r}", help)
    fold = timm.utils.reparameterize_model
    try:
        if wanted.weights is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(wanted.seed)
                return fold(timm.create_model(wanted.name, pretrained=wanted.pretrained))
        tensors = read_tensors(wanted.weights)
        plain = timm.create_model(name)
        network = timm.create_model(name, **_sizes(plain.pretrained_cfg, tensors))
    except ForeignError:
        raise
    except Exception as error:  # whatever a download, or a network of odd sizes, can fail with
        raise ForeignError(f"timm gives no {wanted.name}: {reason(error)}") from None
    folded = fold(network.eval())
    fault = _load(network, tensors)
    if fault is None:
        return fold(network.eval())
    if _load(folded, tensors) is None:
        return folded
    raise ForeignError(f"{wanted.weights} holds no weights of {name}: {fault}")


def _sizes(cfg: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Classes and channels by the first and the last layer of these weights."""
    first, last = (_names(cfg[key]) for key in ("first_conv", "classifier"))
    found = {}
    for name in last:
        if f"{name}.weight" in tensors:
            found["num_classes"] = tensors[f"{name}.weight"].shape[0]
    for name in first:
        weight = tensors.get(f"{name}.weight")
        if weight is not None and weight.dim() == 4:
            found["in_chans"] = weight.shape[1]
    return found


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _load(network: nn.Module, tensors: Mapping[str, Tensor]) -> str | None:
    """Load weights and return None. Where they do not fit, load none and return what is wrong with
    the first tensor that does not fit."""
    wanted = {n: t for n, t in network.state_dict().items() if not n.endswith(UNCOUNTED)}
    found = {n: t for n, t in tensors.items() if not n.endswith(UNCOUNTED)}
    for name in (*wanted, *(n for n in found if n not in wanted)):
        have = tuple(found[name].shape) if name in found else None
        want = tuple(wanted[name].shape) if name in wanted else None
        if have != want:
            if have is None:
                return f"{name} is missing"
            return f"{name} is {have}, the network has {want or 'no such tensor'}"
    network.load_state_dict(found, strict=False)
    return None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A network's tensors by name, from a safetensors file or what `torch.save` wrote of a state
    dict; a file with other objects is refused, not run. Raises `ForeignError`."""
    try:
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ForeignError(f"cannot read {path}: {error.strerror or error}") from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ForeignError(f"{path} holds no tensors, or is cut short: {reason(error)}") from None
    except Exception as error:
        if type(error).__name__ != "UnpicklingError":
            raise
        help = "save the tensors alone: safetensors.torch.save_file(model.state_dict(), FILE)"
        raise ForeignError(f"{path} holds other objects than tensors", help) from None
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    named = dict(found) if isinstance(found, Mapping) else {}
    if not named or not all(isinstance(t, Tensor) for t in named.values()):
        raise ForeignError(f"{path} holds no tensors by name", "save model.state_dict()")
    if all(name.startswith("module.") for name in named):  # of several cards
        named = {name.removeprefix("module."): t for name, t in named.items()}
    for name, tensor in named.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ForeignError(f"{path}: {name} has values that are no finite numbers")
    return {name: t.float() if t.is_floating_point() else t for name, t in named.items()}


def _channels(network: nn.Module) -> int:
    return next(m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d))
