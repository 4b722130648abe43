"""Teachers of timm: any of its convolutional networks, cut between its stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from spacedsl_runtime.distill.teacher import Boundary, Calibration, Teacher, frozen
from spacedsl_runtime.errors import TeacherError
from spacedsl_runtime.foreign.package import reason, timm_package
from spacedsl_runtime.train.batches import Normalise

PROBE = 128
"""Side in pixels of the image that shows where maps have which size."""


class TimmNetwork:
    """`network`, and `features`: its maps at `places`, names of modules in the order in which they
    run. `strides` and `widths` are those of the maps."""

    def __init__(self, network: Any) -> None:
        self.network = network.eval().requires_grad_(False)
        cfg = network.pretrained_cfg
        self.mean, self.std = tuple(map(float, cfg["mean"])), tuple(map(float, cfg["std"]))
        self.channels = int(cfg["input_size"][0])
        self._seen: list[tuple[str, Tensor]] = []
        for name in _candidates(network):
            network.get_submodule(name).register_forward_hook(self._hook(name))
        maps = self._run(torch.zeros(1, self.channels, PROBE, PROBE))
        self.places = tuple(name for name, _ in maps)
        self.strides = tuple(PROBE // m.shape[2] for _, m in maps)
        self.widths = tuple(m.shape[1] for _, m in maps)

    def _hook(self, name: str) -> Any:
        def note(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                self._seen.append((name, output))

        return note

    def _run(self, x: Tensor) -> list[tuple[str, Tensor]]:
        self._seen.clear()
        with torch.no_grad():
            self.network.forward_features(x)
        found = list(self._seen)
        self._seen.clear()
        return found

    def features(self, x: Tensor) -> list[Tensor]:
        """(N, channels, R, R) -> a map (N, width, R / stride, R / stride) per place."""
        return [m for _, m in self._run(x)]


def _candidates(network: Any) -> list[str]:
    """timm's feature modules with their siblings, which it leaves out where the stride does not
    change; the blocks of those that stand alone."""
    found: list[str] = []
    for info in network.feature_info:
        name = info["module"]
        parent, _, _ = name.rpartition(".")
        inside = isinstance(network.get_submodule(name), nn.Sequential)
        above = parent or (name if inside else "")
        names = [f"{above}.{n}" for n, _ in network.get_submodule(above).named_children()]
        found += names if above else [name]
    return list(dict.fromkeys(found))


def load_timm(name: str, file: Path | None = None) -> TimmNetwork:
    """A network of timm with its pretrained weights (downloaded by timm), or those of a safetensors
    file. Raises `TeacherError`."""
    timm = timm_package(f"the teacher timm:{name}", TeacherError)
    try:
        network = timm.create_model(name, pretrained=file is None)
    except Exception as error:  # unknown names, and what a download can fail with
        raise TeacherError(f"timm gives no {name}: {reason(error)}") from None
    if file is not None:
        try:
            network.load_state_dict(load_file(file))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise TeacherError(f"{file} holds no weights of {name}: {reason(error)}") from None
    try:
        return TimmNetwork(network)
    except (AttributeError, KeyError, TypeError, RuntimeError) as error:
        message = f"timm's {name} has no maps to imitate: {reason(error)}"
        raise TeacherError(message, "take a convolutional network") from None


def open_timm(spec: str, where: str, calibration: Calibration, device: torch.device) -> Teacher:
    """NAME or NAME:FILE, cut where its maps are. Raises `TeacherError`."""
    name, _, file = where.partition(":")
    found = load_timm(name, Path(file) if file else None)
    boundaries = tuple(map(Boundary, found.places, found.strides, found.widths))
    normalise = Normalise(found.mean, found.std)
    return frozen(spec, found.channels, normalise, boundaries, found.network, found.features)
