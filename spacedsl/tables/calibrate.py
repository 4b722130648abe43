"""What NSR losses are worth: fit accuracies of known networks to their losses and resolutions.

    log(100 - top1) = a + b log(loss) + c log(r_max / resolution)

Losses that are relative to the teacher at the same resolution do not see what a smaller image
loses; `c` says that. A few networks do not determine it: it is shrunk to a prior, which is what the
published accuracies of MobileNetV2 by resolution say. Losses that are relative to the teacher at
the greatest resolution see it themselves, so there `c` is what they leave, shrunk to 0. Tables of
different origin have an `a` each and share `b` and `c`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.operators.size import as_number
from spacedsl.search.protocols import Known
from spacedsl.tables.network_sums import network_losses
from spacedsl.tables.networks import Network
from spacedsl.tables.quality import FittedQuality
from spacedsl.tables.schema import REFITS, CalibrationData, TableFile
from spacedsl.tables.solve import Floats
from spacedsl.tables.statistics import FEWEST_BEST, extent, optimism_of

MOBILENETV2 = {224: 71.8, 192: 70.7, 160: 68.8, 128: 65.3, 96: 60.3}
"""Published top-1 of MobileNetV2 1.0 by resolution."""

PRIOR = (0.30, 0.05)
"""Mean and standard deviation of `c`: what `MOBILENETV2` says between 160 and 224 pixels."""

PRIOR_OF_REST = (0.0, 0.15)
"""The same where losses rise by themselves as the image shrinks."""

Prior = tuple[float, float]

LEAST = 4
"""Networks that a calibration takes."""

ROUNDS = 20
DIGITS = 6

MOST_DRAWS = 4 * REFITS
"""Refits that are tried."""


@dataclass(frozen=True, slots=True)
class Points:
    """N networks of one table: names, sums of stage losses, resolutions and top-1 in percent; how
    many stages are summed."""

    names: tuple[str, ...]
    loss: Floats
    resolution: Floats
    top1: Floats
    weight: Floats
    stages: int

    def without(self, i: int) -> Points:
        """All but one."""
        keep = np.arange(len(self.names)) != i
        names = tuple(n for j, n in enumerate(self.names) if j != i)
        kept = (self.loss[keep], self.resolution[keep], self.top1[keep], self.weight[keep])
        return Points(names, *kept, self.stages)


@dataclass(frozen=True, slots=True)
class Fit:
    """Per table an `a`; `b` and `c`; standard deviation of the logarithm's residuals."""

    a: tuple[float, ...]
    b: float
    c: float
    residual_sd: float

    def top1(self, table: int, loss: Floats, resolution: Floats, r_max: int) -> Floats:
        """Accuracies in percent."""
        smaller = self.c * np.log(r_max / resolution)
        error: Floats = np.exp(self.a[table] + self.b * np.log(loss) + smaller)
        return 100.0 - error


def points_of(table: TableFile, networks: Sequence[Network]) -> Points:
    """Networks as points of a table. Raises `SpaceError` where it does not cover one."""
    if table.quality is None:
        raise fault("table-part", "the table has no NSR losses to calibrate")
    loss = network_losses([n.subnet for n in networks], FittedQuality(table.quality))
    for network, value in zip(networks, loss, strict=True):
        if np.isnan(value):
            message = f"line {network.line}: the table does not cover {network.subnet.name}"
            raise fault("uncovered", message)
    return Points(
        names=tuple(n.subnet.name for n in networks),
        loss=loss,
        resolution=np.array([as_number(n.subnet.resolution) for n in networks]),
        top1=np.array([n.value for n in networks]),
        weight=np.array([n.weight for n in networks]),
        stages=max((len(n.subnet.of.elastic) for n in networks), default=0),
    )


def fit(tables: Sequence[Points], r_max: int, prior: Prior = PRIOR) -> Fit:
    """Least squares, with the prior of `c` counted as heavily as its uncertainty says."""
    count = len(tables)
    size = sum(len(t.names) for t in tables)
    rows = np.zeros((size + 1, count + 2))
    target = np.zeros(size + 1)
    weight = np.ones(size + 1)
    start = 0
    for i, points in enumerate(tables):
        at = slice(start, start + len(points.names))
        start = at.stop
        rows[at, i] = 1.0
        rows[at, count] = np.log(points.loss)
        rows[at, count + 1] = np.log(r_max / points.resolution)
        target[at] = np.log(100.0 - points.top1)
        weight[at] = points.weight
    rows[size, count + 1], target[size] = 1.0, prior[0]
    weight[:size] *= size / weight[:size].sum()
    sd = 0.02
    x = np.zeros(count + 2)
    for _ in range(ROUNDS):
        scale = np.sqrt(np.append(weight[:size], (sd / prior[1]) ** 2))
        x = np.linalg.lstsq(rows * scale[:, None], target * scale, rcond=None)[0]
        residual = (target - rows @ x)[:size]
        free = max(size - count - 1, 1)
        sd = max(float(np.sqrt((weight[:size] * residual**2).sum() / free)), 1e-3)
    return Fit(tuple(x[:count].tolist()), float(x[count]), float(x[count + 1]), sd)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Top-1 in percent of networks, as measured and as predicted by fits that had not seen them,
    (N,) each."""

    measured: Floats
    predicted: Floats

    @property
    def log_sd(self) -> float:
        """Error of the logarithm of 100 - top1 (root of the mean square)."""
        return _rms(np.log((100.0 - self.predicted) / (100.0 - self.measured)))

    @property
    def points(self) -> float:
        """Error in points (root of the mean square)."""
        return _rms(self.predicted - self.measured)

    @property
    def optimism(self) -> float | None:
        """By how many points those predicted best were worse; None of too few networks."""
        if len(self.measured) < 2 * FEWEST_BEST:
            return None
        return optimism_of(self.measured, self.predicted)


def left_out(tables: Sequence[Points], r_max: int, prior: Prior = PRIOR) -> LeftOut:
    """Predict every network by a fit to the others."""
    predicted: list[float] = []
    for i, table in enumerate(tables):
        for j in range(len(table.names)):
            others = [t.without(j) if k == i else t for k, t in enumerate(tables)]
            found = fit(others, r_max, prior)
            predicted += found.top1(i, table.loss[[j]], table.resolution[[j]], r_max).tolist()
    return LeftOut(np.concatenate([t.top1 for t in tables]), np.array(predicted))


def refits(tables: Sequence[Points], r_max: int, found: Fit, prior: Prior = PRIOR) -> list[Fit]:
    """Fits to the networks with their residuals drawn with replacement, and with a mean of the
    prior that is drawn by its standard deviation. Residuals are raised by what the fit took."""
    drawn = np.random.default_rng(0)
    size = sum(len(t.names) for t in tables)
    logs = [
        np.log(100.0 - found.top1(i, t.loss, t.resolution, r_max)) for i, t in enumerate(tables)
    ]
    residuals = np.concatenate(
        [np.log(100.0 - t.top1) - log for t, log in zip(tables, logs, strict=True)]
    )
    residuals *= np.sqrt(size / max(size - len(tables) - 1, 1))
    again: list[Fit] = []
    for _ in range(MOST_DRAWS):
        moved = [
            replace(t, top1=100.0 - np.exp(log + drawn.choice(residuals, len(log))))
            for t, log in zip(tables, logs, strict=True)
        ]
        one = fit(moved, r_max, (float(drawn.normal(*prior)), prior[1]))
        if one.b > 0:  # a fit by which worse losses are better is no calibration
            again.append(one)
        if len(again) == REFITS:
            break
    return again


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def calibrations(
    tables: Sequence[Points],
    optimism: float | None = None,
    note: str = "",
    prior: Prior = PRIOR,
) -> tuple[CalibrationData, ...]:
    """The calibration of each table; `optimism` None: what the networks say of it. Raises
    `SpaceError` where there are too few networks, or better losses do not mean better networks."""
    count = sum(len(t.names) for t in tables)
    if count < LEAST or min(len(t.names) for t in tables) < 2:
        message = f"a calibration needs more than {counted(count, 'network')}"
        raise fault("few-rows", message, f"{LEAST} networks of different losses would do")
    r_max = int(max(t.resolution.max() for t in tables))
    found = fit(tables, r_max, prior)
    if found.b <= 0:
        message = "among these networks accuracy does not fall as the loss rises"
        raise fault("table-row", message, "are the pages and the table of the same hyperspace?")
    unseen, again = left_out(tables, r_max, prior), refits(tables, r_max, found, prior)
    names = tuple(name for t in tables for name in t.names)
    top1, resolutions = (
        np.concatenate(values)
        for values in zip(*((t.top1, t.resolution) for t in tables), strict=True)
    )
    return tuple(
        CalibrationData(
            a=round(a, DIGITS),
            b=round(found.b, DIGITS),
            c=round(found.c, DIGITS),
            r_max=r_max,
            residual_sd=round(found.residual_sd, DIGITS),
            left_out_sd=round(unseen.log_sd, DIGITS),
            left_out=round(unseen.points, 4),
            optimism=unseen.optimism if optimism is None else optimism,
            prior=prior,
            models=names,
            note=note,
            refits=tuple(
                (round(one.a[i], DIGITS), round(one.b, DIGITS), round(one.c, DIGITS))
                for one in again
            ),
            known=Known(tables[i].stages, extent(top1), extent(resolutions)),
        )
        for i, a in enumerate(found.a)
    )


def calibrated(table: TableFile, networks: Sequence[Network]) -> TableFile:
    """A table with a calibration by these networks. Raises `SpaceError`."""
    prior = PRIOR_OF_REST if table.source.teacher_resolution == "greatest" else PRIOR
    (data,) = calibrations([points_of(table, networks)], prior=prior)
    return table.model_copy(update={"calibration": data})
