"""A target page with a made-up latency model for one space, so that tests need no profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spacedsl import api
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.targets.attribution import kernel_owners
from spacedsl.targets.kernel_model import NetSample, fit_kernels
from spacedsl.targets.profile_file import SpaceNote
from spacedsl.targets.profiled_latency import ProfiledLatency, save_fit
from tests.targets.test_model import law_ms, note_for

TARGET = """language 1

target {name} {{
  device "made-up, {runtime}"
  runtime "{runtime}"
  latency "{name}.npz"
  limits 1ms, 2ms
}}
"""


def write_target(
    folder: Path,
    space: Space,
    name: str = "made-up",
    runtime: str = "onnxruntime",
    networks: int = 60,
) -> Path:
    """The page, with its model beside it, that knows what members of `space` are made of, as far as
    some random `networks` show it."""
    samples = []
    for subnet in api.sample(space, networks):
        kernels = kernel_owners(subnet)[0]
        ms = np.array([law_ms(k) for k in kernels])
        samples.append(NetSample(kernels, ms + 0.001, np.ones(len(ms), np.int64), float(ms.sum())))
    model = fit_kernels(samples)
    known = SpaceNote(name=space.name, hash=space_identity(space), resolutions=space.resolutions)
    note = note_for(model).model_copy(update={"spaces": (known,)})
    save_fit(ProfiledLatency(note, model), folder / f"{name}.npz")
    page = folder / f"{name}.space"
    page.write_text(TARGET.format(name=name, runtime=runtime))
    return page
