"""Training as a notebook calls it: the recipe of the command, on the data that it names."""

from __future__ import annotations

from pathlib import Path

from spacedsl import api
from spacedsl.flows.train import Place, Settings, Trained
from spacedsl.flows.train import train as train_flow
from spacedsl.ir.space import Space
from spacedsl.notebook.devices import AnyDevice, device_of
from spacedsl.notebook.watching import Callback, watching


def train(
    space: Space | str | Path,
    data: str,
    out: str | Path,
    *,
    target: AnyDevice | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    device: str = "cpu",
    resume: bool = False,
    progress: Callback | None = None,
) -> Trained:
    """Train the supernet of a space on data (`imagefolder:DIR`, `digits`, ...) into the folder
    `out`, as `spacedsl train` does. Without a `target` in FP32; then, with one, LSQ+ follows for
    its 8-bit tensors. What is None is the data's usual. Raises `SpaceError`."""
    return train_flow(
        api.load_space(space) if isinstance(space, str | Path) else space,
        data,
        Path(out),
        target=None if target is None else device_of(target).target,
        settings=Settings(steps=steps, epochs=epochs, batch=batch, lr=lr, seed=seed),
        place=Place(device=device),
        resume=resume,
        watch=watching(progress),
    )
