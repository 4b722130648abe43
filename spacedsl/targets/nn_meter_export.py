"""Our latency model as a folder that nn-Meter registers: one regressor per kernel, fusion rules.

Needs scikit-learn (extra `nn-meter`), and whoever reads it needs nothing of ours: the regressors
are random forests on log milliseconds, as nn-Meter's own are on milliseconds, fitted to what our
model says of many kernels. They are pickles because nn-Meter reads nothing else; this file only
writes them."""

from __future__ import annotations

import importlib.util
import json
import pickle
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.files import write_atomic
from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Coverage
from spacedsl.targets.kernel_model import KernelModel
from spacedsl.targets.nn_meter_words import PREDICTORS, features

SAMPLES = 3000
HELD_OUT = 5
"""Every so many-th sample is left out of the fit, to see how well it repeats our model."""

TREES = 60
VERSION = 1.0
META = "predictor.yaml"

FUSED = ("conv_bn", "conv_relu", "bn_relu", "dwconv_bn", "dwconv_relu", "add_relu", "fc_relu")
"""What our graphs run in one kernel, in nn-Meter's words."""

Sampled = tuple[list[Kernel], list[float]]


@dataclass(frozen=True, slots=True)
class Exported:
    """`errors`: by predictor, the median relative error of the forest to our model on kernels that
    it was not fitted to. `left_out`: kinds of kernels that nn-Meter has no word for."""

    errors: dict[str, float]
    left_out: tuple[str, ...]


def export_predictor(model: KernelModel, name: str, out: Path) -> Exported:
    """Write `model` to the folder `out` under `name`. Raises `SpaceError`."""
    if importlib.util.find_spec("sklearn") is None:
        message = "this needs the package scikit-learn, which is not installed"
        raise fault("missing-extra", message, "pip install 'spacedsl[nn-meter]'")
    measured = [k for group in model.groups.values() for k in group.kernels]
    out.mkdir(parents=True, exist_ok=True)
    errors: dict[str, float] = {}
    for predictor in dict.fromkeys(PREDICTORS.values()):
        own = sorted({k for k in measured if PREDICTORS.get(k.kind) == predictor})
        if own:
            data, errors[predictor] = _forest(*_sampled(model, own))
            write_atomic(out / f"{predictor}.pkl", data)
    write_atomic(out / "fusion_rules.json", json.dumps(_rules(), indent=1) + "\n")
    write_atomic(out / META, _meta(name, out, list(errors)))
    kinds = {k.kind for k in measured}
    return Exported(errors, tuple(sorted(kinds - PREDICTORS.keys())))


def _sampled(model: KernelModel, measured: Sequence[Kernel]) -> Sampled:
    """Measured kernels and others between them, which our model covers, with its milliseconds."""
    rng = random.Random(0)  # noqa: S311  not for secrets
    found = dict.fromkeys(measured)
    for _ in range(SAMPLES - len(found)):
        seen, other = rng.choice(measured), rng.choice(measured)
        cin = other.cin
        cout = cin if seen.cin == seen.cout else rng.choice(measured).cout
        found.setdefault(seen._replace(cin=cin, cout=cout, size=rng.choice((seen, other)).size))
    kernels = list(found)
    ms, coverage = model.predict(kernels)
    known = (coverage < Coverage.UNCOVERED) & (ms > 0)
    return [k for k, good in zip(kernels, known, strict=True) if good], ms[known].tolist()


def _forest(kernels: Sequence[Kernel], ms: Sequence[float]) -> tuple[bytes, float]:
    """A fitted forest as a pickle and its error on what it was not fitted to."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import RandomForestRegressor

    table, known = np.array([features(k) for k in kernels]), np.array(ms)
    held = np.arange(len(table)) % HELD_OUT == HELD_OUT - 1

    def fitted(chosen: np.ndarray) -> TransformedTargetRegressor:
        forest = RandomForestRegressor(TREES, random_state=0, n_jobs=1)
        regressor = TransformedTargetRegressor(forest, func=np.log, inverse_func=np.exp)
        return regressor.fit(table[chosen], known[chosen])

    error = 0.0
    if held.any():
        guessed = fitted(~held).predict(table[held])
        error = float(np.median(np.abs(guessed / known[held] - 1)))
    return pickle.dumps(fitted(np.ones(len(table), bool))), error


def _rules() -> dict[str, dict[str, object]]:
    rules: dict[str, dict[str, object]] = {f"BF_{pair}": {"obey": True} for pair in FUSED}
    return rules | {"MON": {"obey": 0}, "FN": {"obey": True}}


def _meta(name: str, out: Path, predictors: Sequence[str]) -> str:
    """What `nn-meter register --predictor` reads. JSON strings are YAML too."""
    lines = [
        f"# scikit-learn {metadata.version('scikit-learn')} reads these forests",
        f"name: {json.dumps(name)}",
        f"version: {VERSION}",
        "category: cpu",
        f"package_location: {json.dumps(str(out.resolve()))}",
        "kernel_predictors:",
        *(f"  - {predictor}" for predictor in predictors),
    ]
    return "\n".join(lines) + "\n"
