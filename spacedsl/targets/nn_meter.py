"""A predictor that nn-Meter has registered, as the latency model of a target. Needs the extra
`nn-meter`.

nn-Meter's predictors are pickles, which can run anything when they are loaded. They are loaded by
nn-Meter itself, from the folder that its own user registered, and only where the environment says
so. A page can name a predictor, not bring one; nothing is downloaded."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spacedsl.diagnostics import fault, one_of
from spacedsl.ir.identity import digest
from spacedsl.passes.bind import Site
from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Coverage, Prediction
from spacedsl.tables.blocks import KernelCache
from spacedsl.targets.nn_meter_words import PREDICTORS, features

ALLOWED = "SPACEDSL_UNPICKLE_NN_METER"
"""Set to 1 by who trusts the predictors that are registered with nn-Meter here."""

ANY_RESOLUTION = tuple(range(1, 1025))
EXTRA = "pip install 'spacedsl[nn-meter]'"


class Predictor(Protocol):
    """One of nn-Meter's: a regressor."""

    def predict(self, features: Sequence[Sequence[float]], /) -> Any:
        """(N, F) features to (N,) milliseconds."""


class NnMeterLatency:
    """`LatencyModel` of a registered predictor: a block takes the sum of its kernels. What nn-Meter
    would count as 0 ms is uncovered; it does not say how sure it is of the rest, so all of that is
    estimated."""

    def __init__(self, name: str, predictors: Mapping[str, Predictor], source: str) -> None:
        self.name, self.predictors, self._source = name, dict(predictors), source
        self._cache = KernelCache()
        self._known: dict[Kernel, float] = {}

    @property
    def resolutions(self) -> tuple[int, ...]:
        """nn-Meter names none."""
        return ANY_RESOLUTION

    @property
    def fastest_ms(self) -> float:
        """Whole networks were not measured."""
        return 0.0

    @cached_property
    def identity(self) -> str:
        """Content hash of the predictors' files."""
        return digest(["nn-meter", self._source])

    def predict(self, sites: Sequence[Site]) -> Prediction:
        """Milliseconds and coverage of each block, (N,); NaN where uncovered."""
        found = [self._cache.find(site) for site in sites]
        self._ask({k for kernels in found for k in kernels or ()})
        sums = [np.nan if ks is None else sum(self._known[k] for k in ks) for ks in found]
        ms = np.array(sums, np.float64)
        covered = np.where(np.isnan(ms), Coverage.UNCOVERED, Coverage.ESTIMATED)
        return Prediction(ms, covered.astype(np.uint8))

    def _ask(self, kernels: set[Kernel]) -> None:
        groups: dict[str, list[Kernel]] = {}
        for kernel in sorted(kernels - self._known.keys()):
            name = PREDICTORS.get(kernel.kind, "")
            if name in self.predictors:
                groups.setdefault(name, []).append(kernel)
            else:
                self._known[kernel] = np.nan
        for name, group in groups.items():
            ms = self.predictors[name].predict([features(kernel) for kernel in group])
            self._known.update(zip(group, np.asarray(ms, np.float64).tolist(), strict=True))


def load_predictor(name: str) -> NnMeterLatency:
    """The latency model of the predictor `name` that nn-Meter has registered. Raises `SpaceError`
    where nn-Meter is missing, does not know it, has not got it here, or may not unpickle it."""
    if os.environ.get(ALLOWED) != "1":
        raise fault(
            "pickle-refused",
            f"nn-Meter's predictor `{name}` is pickles, which can run any program when loaded",
            f"set {ALLOWED}=1 if you trust what is registered with nn-Meter on this machine",
        )
    package = _nn_meter()
    known = [p for p in package.list_latency_predictors() if p["name"] == name]
    if not known:
        names = sorted({p["name"] for p in package.list_latency_predictors()})
        message = f"nn-Meter has no predictor `{name}` registered"
        raise fault("unknown-target", message, f"it has {one_of(names)}")
    info = package.predictor.nn_meter_predictor.load_predictor_config(name)
    folder = _folder(package, info)
    missing = [k for k in info["kernel_predictors"] if not (folder / f"{k}.pkl").is_file()]
    if missing:
        message = f"nn-Meter's predictor `{name}` is not in {folder}: no {missing[0]}.pkl"
        raise fault("cannot-read", message, "nothing is downloaded here; fetch it with nn-Meter")
    print(f"warning: unpickling nn-Meter's predictor {name} of {folder}", file=sys.stderr)
    try:
        found = package.load_latency_predictor(name).kernel_predictors
    except Exception as error:  # a pickle can raise anything
        raise fault("bad-table", f"nn-Meter cannot load `{name}` of {folder}: {error}") from None
    return NnMeterLatency(name, found, _source(folder))


def _nn_meter() -> Any:
    """The package, quiet. It needs setuptools below 81 for `pkg_resources`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nn-Meter's own
            import nn_meter
    except ImportError as error:
        message = f"nn-Meter cannot be imported: {error}"
        raise fault("missing-extra", message, f"{EXTRA} (it needs setuptools below 81)") from None
    logging.getLogger("nn-Meter").setLevel(logging.ERROR)
    return nn_meter


def _folder(package: Any, info: Mapping[str, Any]) -> Path:
    """Where a predictor's files are: as it was registered, or where nn-Meter keeps its own."""
    if "package_location" in info:
        return Path(info["package_location"])
    data = package.predictor.nn_meter_predictor.get_user_data_folder()
    return Path(data) / "predictor" / str(info["name"])


def _source(folder: Path) -> str:
    """Hash of a predictor's files."""
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*.pkl")):
        whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
