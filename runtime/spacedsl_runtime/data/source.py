"""What a source of data is: one record. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spacedsl.registered import Opening
from spacedsl_runtime.data.split import Data


@dataclass(frozen=True)
class Defaults:
    """What training on a kind of data usually takes; `lr` is for 256 images a step."""

    epochs: int
    batch: int
    lr: float
    warmup_epochs: float
    weight_decay: float
    qat_epochs: int
    qat_batch: int
    qat_warmup_epochs: float


IMAGENET = Defaults(360, 512, 0.1, 5.0, 1e-5, 50, 256, 3.0)
"""Photos: SpaceEvo, Sec. 5 and its authors' code."""


@dataclass(frozen=True)
class DataSource(Opening):
    """What `--data` names. `open` takes the whole text, what stands behind the colon ("" for
    nothing) and the decoder of JPEG files that is asked for, and raises `DataError`. `defaults`: of
    training on it, None for images without labels."""

    open: Callable[[str, str, str | None], Data]
    defaults: Defaults | None = None
