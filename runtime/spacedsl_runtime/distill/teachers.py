"""Teachers by name: those of the runtime, and those that installed packages register.

An installed package registers a `TeacherSource` by an entry point of the group `spacedsl.teachers`,
whose name is the source's. Imports no torch until a teacher is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING

from spacedsl.registered import Opening, registered
from spacedsl_runtime.errors import TeacherError

if TYPE_CHECKING:
    import torch

    from spacedsl_runtime.distill.teacher import Calibration, Teacher

GROUP = "spacedsl.teachers"


@dataclass(frozen=True)
class TeacherSource(Opening):
    """What `--teacher` names. `open` takes the whole text, what stands behind the colon ("" for
    nothing), batches of training images, by which batch norms may be calibrated, and where torch
    computes; it raises `TeacherError`."""

    open: Callable[[str, str, Calibration, torch.device], Teacher]


def _in(
    module: str,
    function: str,
    spec: str,
    where: str,
    calibration: Calibration,
    device: torch.device,
) -> Teacher:
    """Opened by a function of a module of this folder. The module imports torch."""
    open = getattr(import_module(f"{__package__}.{module}"), function)
    found: Teacher = open(spec, where, calibration, device)
    return found


LITE = partial(_in, "efficientnet_lite", "open_lite")
CHECKPOINT = partial(_in, "checkpoint_teacher", "open_checkpoint")
TIMM = partial(_in, "timm_teacher", "open_timm")

BUILT_IN = {
    source.name: source
    for source in (
        TeacherSource("lite0", "lite0", LITE),
        TeacherSource("lite1", "lite1", LITE),
        TeacherSource("lite2", "lite2", LITE),
        TeacherSource("checkpoint", "checkpoint:RUN", CHECKPOINT),
        TeacherSource("timm", "timm:NAME[:FILE]", TIMM),
    )
}


@cache
def teachers() -> dict[str, TeacherSource]:
    """All there are by name, the built-in ones first. Raises `TeacherError` where a package's
    cannot be loaded."""
    words = "the teacher", "no teacher"
    return BUILT_IN | registered(GROUP, TeacherSource, BUILT_IN, words, TeacherError)


def usages() -> str:
    """How teachers are named, for help texts."""
    return ", ".join(source.usage for source in teachers().values())


def open_teacher(
    spec: str, calibration: Calibration, device: torch.device | None = None
) -> Teacher:
    """The teacher that `spec` names, frozen, in eval mode, on `device` (None: the CPU).
    `calibration`, on it too, is for the batch norms of our own supernets. Raises `TeacherError`,
    `CheckpointError`."""
    from spacedsl_runtime.train.device import CPU

    name, _, where = spec.partition(":")
    source = BUILT_IN.get(name) or teachers().get(name)
    if source is None or not source.fits(where):
        raise TeacherError(f"unknown teacher `{spec}`", f"known: {usages()}")
    device = device or CPU
    found = source.open(spec, where, calibration, device)
    found.network.to(device)
    return found
