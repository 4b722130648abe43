"""The latency model of a profile: fitted, saved as plain arrays, asked for blocks.

On disk an uncompressed `.npz` (no pickle): `header`, JSON as bytes, and for each group its distinct
kernels (N, 6 or 12) int32, their weights (N,) and the mean's coefficients, float64."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from spacedsl.compiler.integer_model import read_arrays
from spacedsl.diagnostics import fault
from spacedsl.files import write_atomic
from spacedsl.ir.expr import Frozen
from spacedsl.ir.identity import digest
from spacedsl.json_files import first_mistake
from spacedsl.operators.size import Size
from spacedsl.passes.bind import Site
from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Coverage, Prediction
from spacedsl.tables.blocks import KernelCache
from spacedsl.targets.features import ROWS, features
from spacedsl.targets.gaussian import Gaussian
from spacedsl.targets.kernel_model import GroupModel, KernelModel, fit_kernels
from spacedsl.targets.kernel_table import COLUMNS, kernel_of, kernel_table
from spacedsl.targets.profile_file import Profile, ProfileHeader, SpaceNote, read_profile
from spacedsl.targets.profile_fit import samples_of

SUFFIX = ".npz"
FORMAT: Literal[4] = 4
"""Of the fits that are written."""


class GroupNote(Frozen):
    """What is said of a group besides its arrays. `kinds`: of its kernels, by number."""

    length: float
    amplitude: float
    factor: float
    kinds: tuple[str, ...]


class FitNote(Frozen):
    """What a fitted profile says of itself. `source`: hash of the profile's bytes; `fastest_ms`:
    the fastest network it was fitted to. Fits of format 2 know no `leans`, those of format 3 do not
    tell kernels apart by the rows of their output."""

    format: Literal[2, 3, 4] = FORMAT
    kind: Literal["fitted-profile"] = "fitted-profile"
    profile: ProfileHeader
    source: str
    networks: int
    steady: int
    seconds: float
    spaces: tuple[SpaceNote, ...]
    fastest_ms: float
    kernel_ms: float
    network_ms: float
    leans: tuple[float, float] = (0.0, 0.0)
    groups: dict[str, GroupNote]


class ProfiledLatency:
    """`LatencyModel` of a profile. A block takes the sum of its kernels; constants of a network
    belong to its classifier."""

    def __init__(self, note: FitNote, model: KernelModel) -> None:
        self.note, self.model = note, model
        self._cache = KernelCache()
        self._known: dict[Kernel, tuple[float, float]] = {}

    @property
    def resolutions(self) -> tuple[Size, ...]:
        """Resolutions in pixels of the spaces that were profiled."""
        return tuple(sorted({r for space in self.note.spaces for r in space.resolutions}))

    @property
    def fastest_ms(self) -> float:
        """The fastest network that was measured."""
        return self.note.fastest_ms

    @cached_property
    def identity(self) -> str:
        """Content hash of what was fitted."""
        return digest(["profile", self.note.source])

    def predict(self, sites: Sequence[Site]) -> Prediction:
        """Milliseconds and coverage of each block, (N,); NaN where uncovered."""
        ms = np.full(len(sites), np.nan)
        coverage = np.full(len(sites), Coverage.UNCOVERED, dtype=np.uint8)
        found = [self._cache.find(site) for site in sites]
        self._ask({k for kernels in found for k in kernels or ()})
        for i, kernels in enumerate(found):
            if kernels is None:
                continue
            answers = [self._known[k] for k in kernels]
            ms[i] = sum(a[0] for a in answers)
            coverage[i] = max((a[1] for a in answers), default=Coverage.MEASURED)
        return Prediction(ms, coverage)

    def _ask(self, kernels: set[Kernel]) -> None:
        new = sorted(kernels - self._known.keys())
        if new:
            ms, coverage = self.model.predict(new)
            answers = zip(ms.tolist(), coverage.tolist(), strict=True)
            self._known.update(zip(new, answers, strict=True))


def fit_profile(path: Path) -> ProfiledLatency:
    """The latency model of a profile's file, from beside it where it was saved. Raises
    `SpaceError`, also where nothing was measured yet."""
    source = hashlib.sha256(path.read_bytes()).hexdigest()
    saved = path.with_suffix(SUFFIX)
    if saved.exists():
        found = load_fit(saved)
        if found.note.source == source and found.note.format == FORMAT:
            return found
    return _fitted(read_profile(path), path, source)


def _fitted(profile: Profile, path: Path, source: str) -> ProfiledLatency:
    if not profile.batches:
        message = f"{path} holds no measurement yet"
        raise fault("no-profile", message, "`spacedsl target profile` goes on with it")
    samples = samples_of(profile.batches)
    model = fit_kernels(samples)
    groups = {
        name: GroupNote(
            length=group.gaussian.length,
            amplitude=group.gaussian.amplitude,
            factor=group.factor,
            kinds=tuple(sorted({k.kind for k in group.kernels})),
        )
        for name, group in model.groups.items()
    }
    note = FitNote(
        profile=profile.header,
        source=source,
        networks=sum(len(b.nets) for b in profile.batches),
        steady=sum(net.steady for b in profile.batches for net in b.nets),
        seconds=sum(b.seconds for b in profile.batches),
        spaces=tuple({s.hash: s for b in profile.batches for s in b.spaces}.values()),
        fastest_ms=min(s.net_ms for s in samples),
        kernel_ms=model.kernel_ms,
        network_ms=model.network_ms,
        leans=model.leans,
        groups=groups,
    )
    return ProfiledLatency(note, model)


def save_fit(fit: ProfiledLatency, path: Path) -> None:
    """Write a fitted profile atomically; the same fit gives the same bytes."""
    arrays: dict[str, np.ndarray] = {
        "header": np.frombuffer(fit.note.model_dump_json().encode(), np.uint8)
    }
    for name, group in fit.model.groups.items():
        kinds = fit.note.groups[name].kinds
        arrays[f"{name}/kernels"] = kernel_table(group.kernels, kinds)
        arrays[f"{name}/weights"] = group.gaussian.weights
        arrays[f"{name}/linear"] = group.gaussian.linear
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())


def load_fit(path: Path) -> ProfiledLatency:
    """Read a fitted profile. Raises `SpaceError` for a file that is missing, damaged or of another
    version."""
    try:
        arrays = read_arrays(path)
        note = FitNote.model_validate_json(arrays.pop("header").tobytes())
        rows = note.format >= 4
        groups = {name: _group(arrays, name, found, rows) for name, found in note.groups.items()}
    except OSError as error:
        raise fault("cannot-read", f"cannot read {path}: {error.strerror or error}") from None
    except ValidationError as error:
        message = (
            f"{path} is not a fitted profile of this version: {first_mistake(error, 'the header')}"
        )
        raise fault("bad-profile", message) from None
    except (ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise fault("bad-profile", f"{path} is damaged: {error}") from None
    return ProfiledLatency(note, KernelModel(groups, note.kernel_ms, note.network_ms, note.leans))


def _group(arrays: dict[str, np.ndarray], name: str, note: GroupNote, rows: bool) -> GroupModel:
    """A group of a fit; `rows`: whether it tells kernels apart by the rows of their output."""
    table = arrays[f"{name}/kernels"]
    weights, linear = arrays[f"{name}/weights"], arrays[f"{name}/linear"]
    if table.ndim != 2 or len(table) != len(weights) or table.shape[1] not in COLUMNS:
        raise ValueError(f"{name} has kernels of shape {table.shape}")
    if not len(table) or table[:, 0].min() < 0 or table[:, 1:11].min() < 1:
        raise ValueError(f"{name} has no kernels, or a size below 1")
    kernels = tuple(kernel_of(note.kinds[kind], sizes) for kind, *sizes in table.tolist())
    points, basis = features(kernels)
    if linear.shape != (basis.shape[1],) or not np.isfinite([*weights, *linear]).all():
        raise ValueError(f"{name} has coefficients of another kind")
    points = points if rows else points[:, : -len(ROWS)]
    gaussian = Gaussian(points, weights, linear, note.length, note.amplitude)
    return GroupModel(kernels, gaussian, note.factor)
