"""Supernets to train by a loop of one's own, and files of what was trained. Imports PyTorch when a
supernet is asked for."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from spacedsl import api
from spacedsl.compiler.export import FILES, trained_model
from spacedsl.compiler.plans import int8_plan, network_plan
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.diagnostics import fault
from spacedsl.files import check_writable, write_atomic
from spacedsl.flows.bench import Benched, subject_of
from spacedsl.flows.bench import bench as bench_flow
from spacedsl.flows.export import build
from spacedsl.flows.faults import runtime_faults
from spacedsl.ir.for_data import for_data
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.notebook.devices import AnyDevice, device_of, target_of
from spacedsl.notebook.values import space_of
from spacedsl.notebook.watching import Callback, watching
from spacedsl.operators.size import Size
from spacedsl.runtimes.table import rules_of
from spacedsl.targets.deployed import Deployed, open_deployed

if TYPE_CHECKING:
    from torch import Tensor

    from spacedsl_runtime.elastic.supernet import Supernet
    from spacedsl_runtime.quant.qat import QatSupernet


def supernet(
    space: Space | str | Path,
    *,
    target: AnyDevice = "cpu",
    channels: int | None = None,
    classes: int | None = None,
    seed: int = 0,
) -> Supernet:
    """The weights of all models of a space in one PyTorch module: `net(images, model)` runs one of
    them. `target`: whose 8-bit tensors `quantise` will make; `channels` and `classes`: of the data,
    if others than the page's. Raises `SpaceError`."""
    with runtime_faults():
        from spacedsl_runtime.elastic.supernet import load_supernet

        plan = supernet_plan(space_of(space), device_of(target).target)
        return load_supernet(plan, channels, classes, seed)


def quantise(net: Supernet, images: Callable[[Size], Tensor], *, seed: int = 0) -> QatSupernet:
    """The same weights with learned fake quantisers (LSQ+) wherever the target has 8-bit tensors,
    to train on. `images(resolution)` gives a batch (N, C, R, R), by which the quantisers start.
    Raises `SpaceError`."""
    with runtime_faults():
        from spacedsl_runtime.elastic.sums import calibrate_sums
        from spacedsl_runtime.quant.qat import QatSupernet

        calibrate_sums(net, lambda resolution: [images(resolution)])
        qat = QatSupernet(net)
        subnets = qat.covering(random.Random(seed))  # noqa: S311  not for secrets
        qat.start(subnets, [images(subnet.resolution) for subnet in subnets])
        return qat


def deploy(
    qat: QatSupernet,
    model: Subnet,
    out: str | Path,
    *,
    target: AnyDevice = "cpu",
    images: Sequence[Tensor],
    mean: Sequence[float],
    std: Sequence[float],
    labels: Sequence[str] = (),
) -> Path:
    """Write a model of a quantised supernet as the INT8 file that its target's runtime reads, with
    the learned scales. `images`: batches (N, C, R, R) by which its batch norms are calibrated;
    `mean` and `std` per channel: what images went through after division by 255. Raises
    `SpaceError`."""
    path, device = Path(out), device_of(target).target
    format = _format(path)
    FILES[format].need()
    check_writable(path)
    with runtime_faults(), _scratch() as folder:
        from spacedsl_runtime.elastic.recalibrate import recalibrate
        from spacedsl_runtime.quant.deployment import deploy as write_integers

        trained = for_data(model.of, qat.supernet.channels, qat.supernet.classes)
        subnet = model.model_copy(update={"of": trained})
        network = qat.eval().extract(subnet)
        recalibrate(network, images)
        weights = Path(folder) / "integers.npz"
        plan = int8_plan(network_plan(subnet), rules_of(device), device)
        write_integers(network, plan, weights, mean=mean, std=std, labels=labels)
        integers = trained_model(subnet, weights, format, device).model
    write_atomic(path, FILES[format].integers(integers))
    return path


def register_timm(
    model: Subnet | str | Path, *, checkpoint: str | Path | None = None, name: str | None = None
) -> str:
    """Give a model a name in timm's registry and return it, so that `timm.create_model(NAME)` makes
    the network, with `num_classes`, `in_chans`, `features_only` and the rest. The name is
    `spacedsl_` and the model's own, if no other is said. `checkpoint`: FP32 weights of the model's
    space, which `pretrained=True` loads. What timm trained, the network's `save_checkpoint` writes
    as such a file. Needs the extra `timm`. Raises `SpaceError`."""
    subnet = model_of(model)
    with runtime_faults():
        from spacedsl_runtime.foreign.register import register

        return register(subnet, None if checkpoint is None else Path(checkpoint), name)


def model_of(model: Subnet | str | Path) -> Subnet:
    """A model, as it is or from its page. Raises `SpaceError`."""
    subnet = api.load(model) if isinstance(model, str | Path) else model
    if not isinstance(subnet, Subnet):
        raise fault("wrong-kind", f"{model} is not a model", "a space's `sample` draws models")
    return subnet


def _scratch() -> AbstractContextManager[str]:
    return tempfile.TemporaryDirectory(prefix="spacedsl-")


def export(
    model: Subnet | str | Path,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    target: AnyDevice | None = None,
    fp32: bool = False,
    seed: int = 0,
) -> Path:
    """Write a model as an ONNX or TFLite file, by the ending of `out`, and return where it is.
    Without `weights` (an integer model from training) they are random, which is good for measuring
    speed and size. Raises `SpaceError`."""
    path = Path(out)
    format = _format(path)
    FILES[format].need()
    check_writable(path)
    subnet = model_of(model)
    device = target_of(target)
    if weights is not None and fp32:
        raise fault("bad-option", f"{weights} holds integers: FP32 cannot be made of it")
    integers = None if weights is None else Path(weights)
    write_atomic(path, build(subnet, format, device, weights=integers, fp32=fp32, seed=seed).data)
    return path


def open_file(path: str | Path, *, threads: int = 1) -> Deployed:
    """An exported file, ready to run: `open_file(path).run(images)` takes normalised images
    (N, C, R, R) and gives logits (N, classes). Raises `SpaceError`."""
    return open_deployed(Path(path), threads)


def bench(
    subject: Subnet | str | Path,
    *,
    against: str | Path | None = None,
    runtime: str | None = None,
    threads: int = 1,
    seconds: float = 20.0,
    seed: int = 0,
    allow_noise: bool = False,
    on: str | None = None,
    progress: Callback | None = None,
) -> Benched:
    """How fast a model, with random weights, or an exported file runs at batch 1, here or `on`
    another machine, and with `against` how it compares: with `fp32`, the same network, or with
    another file. Raises `SpaceError`; where it is not `allow_noise`, also if the machine is too
    noisy to know that."""
    return bench_flow(
        subject if isinstance(subject, Subnet) else subject_of(str(subject)),
        called=subject.name if isinstance(subject, Subnet) else str(subject),
        runtime=runtime,
        against=None if against is None else str(against),
        threads=threads,
        seconds=seconds,
        seed=seed,
        allow_noise=allow_noise,
        on=on,
        watch=watching(progress),
    )


def _format(path: Path) -> str:
    format = path.suffix.removeprefix(".")
    if format not in FILES:
        raise fault("bad-option", f"{path} ends in no format", f"end it in .{' or .'.join(FILES)}")
    return format
