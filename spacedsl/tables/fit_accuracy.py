"""Fit accuracies of trained networks: an additive model of `log(ceiling - top1)`.

Form, ceiling and ridge penalty are those that predict left-out networks best (least squares in
points of top-1, over five parts). The reported errors are of networks that neither the fit nor that
choice had seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.ir.space import Space, Stage
from spacedsl.operators.size import as_number
from spacedsl.search.protocols import Known
from spacedsl.tables.blocks import family
from spacedsl.tables.designs import (
    FORMS,
    Block,
    Canonical,
    Design,
    States,
    block_features,
    depth_features,
    design,
    freedom,
    network_states,
    traits_of,
)
from spacedsl.tables.networks import Network
from spacedsl.tables.quality import positions
from spacedsl.tables.schema import REFITS, AccuracyData, AccuracyRefit, StageAccuracyData
from spacedsl.tables.solve import Floats, Ints, ridge_path
from spacedsl.tables.statistics import extent, kendall_tau, optimism_of, r_squared

FOLDS = 5
ROWS_PER_FREEDOM = 2
"""Networks there must be for each number to be found."""

APART = 3.0
"""Points by which trainings of the same network may differ."""

PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
ABOVE = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0, 4.0)
"""Ceilings that are tried, in standard deviations above the greatest accuracy."""

BINS = 5
"""Parts by predicted accuracy whose errors are told apart."""

LEAST_LOSS = 0.01
"""The least sum of a stage, which is a loss and so positive."""

DIGITS, REFIT_DIGITS = 6, 4


@dataclass(frozen=True, slots=True)
class Chosen:
    """A fit: `coefficients` of the design's columns and the intercept."""

    design: Design
    ceiling: float
    penalty: float
    coefficients: Floats
    intercept: float

    def predict(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Logarithms of `ceiling - top1` of rows of the design (N, F), and top-1, (N,) each."""
        total = self.intercept + matrix @ self.coefficients
        return total, self.ceiling - np.exp(total)


def merged(networks: Sequence[Network], states: States) -> tuple[list[Network], int]:
    """One row per network, in an order that is not the file's: the mean of its trainings; and how
    many had several. Raises `SpaceError` where they differ by more than `APART`."""
    groups: dict[tuple[float, tuple[int, ...]], list[Network]] = {}
    for key, network in zip(states.keys, networks, strict=True):
        groups.setdefault(key, []).append(network)
    found: list[tuple[object, Network]] = []
    wrong: list[str] = []
    for key, same in groups.items():
        values = [n.value for n in same]
        if max(values) - min(values) > APART:
            lines = ", ".join(str(n.line) for n in same)
            wrong.append(f"lines {lines}: {min(values):g} to {max(values):g}")
        weights = [n.weight for n in same]
        mean = float(np.average(values, weights=weights))
        text = [states.states[s][i] for s, i in enumerate(key[1])]
        found.append(((key[0], text), replace(same[0], value=mean, weight=sum(weights))))
    if wrong:
        listed = "".join(f"\n    {one}" for one in wrong[:8])
        message = f"networks that are there several times, more than {APART:g} points apart"
        raise fault("table-row", f"{message}:{listed}", "leave the wrong rows out")
    found.sort(key=lambda item: repr(item[0]))
    repeated = sum(len(same) > 1 for same in groups.values())
    return [network for _, network in found], repeated


Told = Callable[[float], None]
"""Told the share that is done."""


def fit_accuracy(
    networks: Sequence[Network], space: Space, told: Told = lambda share: None
) -> AccuracyData:
    """Fit accuracies in percent of networks of `space`. Raises `SpaceError` where there are too
    few of them."""
    rows, repeated = merged(networks, network_states(networks, space))
    require_rows(len(rows), space)
    states = network_states(rows, space)
    accuracy = np.array([row.value for row in rows])
    if accuracy.min() == accuracy.max():
        message = f"all networks have the same accuracy, {accuracy[0]:g} %"
        raise fault("table-row", message, "is this the column of accuracies? --column names one")
    weight = np.array([row.weight for row in rows])
    designs = [design(form, states) for form in FORMS]
    done, whole = 0, FOLDS * len(designs) * (FOLDS + 1) + REFITS

    def fitted(count: int) -> None:
        nonlocal done
        done += count
        told(done / whole)

    part = np.random.default_rng(0).permutation(len(rows)) % FOLDS
    logs, predicted = np.zeros(len(rows)), np.zeros(len(rows))
    for fold in range(FOLDS):
        seen = np.flatnonzero(part != fold)
        chosen = _choose(designs, accuracy, weight, seen, fitted)
        at = part == fold
        logs[at], predicted[at] = chosen.predict(chosen.design.matrix[at])
    chosen = _choose(designs, accuracy, weight, np.arange(len(rows)), fitted)
    stages, shift = _stages(chosen, states)
    return AccuracyData(
        resolutions=chosen.design.resolutions,
        stages=stages,
        form=chosen.design.form,
        ceiling=chosen.ceiling,
        shift=shift,
        penalty=chosen.penalty,
        errors=_errors(logs, predicted - accuracy),
        networks=len(rows),
        repeated=repeated,
        r2=round(r_squared(accuracy, predicted), 4),
        tau=round(kendall_tau(accuracy, predicted), 4),
        sd=round(float(np.sqrt(np.mean((predicted - accuracy) ** 2))), 4),
        optimism=optimism_of(accuracy, predicted),
        refits=_refits(chosen, states, accuracy, weight, fitted),
        known=Known(
            len(space.elastic),
            extent(accuracy),
            extent(np.array([as_number(row.subnet.resolution) for row in rows])),
        ),
    )


def _refits(
    chosen: Chosen,
    states: States,
    accuracy: Floats,
    weight: Floats,
    fitted: Callable[[int], None],
) -> tuple[AccuracyRefit, ...]:
    """Fits to rows drawn with replacement; form, ceiling and penalty are those that were chosen."""
    drawn = np.random.default_rng(2)
    found: list[AccuracyRefit] = []
    for _ in range(REFITS):
        at = drawn.integers(0, len(accuracy), len(accuracy))
        targets = np.log(chosen.ceiling - accuracy[at])[:, None]
        w = _weights(accuracy[at], weight[at])
        matrix = chosen.design.matrix
        x, intercept = ridge_path(matrix[at], targets, w, [chosen.penalty])
        again = replace(chosen, coefficients=x[0, :, 0], intercept=float(intercept[0, 0]))
        stages, shift = _stages(again, states)
        found.append(
            AccuracyRefit(
                shift=shift,
                base=tuple(_rounded(entry.base) for entry in stages),
                grid=tuple(_rounded(entry.grid) for entry in stages),
            )
        )
        fitted(1)
    return tuple(found)


def _rounded(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(value, REFIT_DIGITS) for value in row) for row in rows)


def fewest_rows(space: Space) -> int:
    """How many different networks a fit takes."""
    return max(ROWS_PER_FREEDOM * freedom(space), 4 * FOLDS)


def require_rows(count: int, space: Space) -> None:
    """Raises `SpaceError` where so many different networks are too few for a fit."""
    least = fewest_rows(space)
    if count < least:
        networks = counted(count, "different network")
        message = f"{space.name} has {freedom(space)} values to find, too many for {networks}"
        raise fault("few-rows", message, f"{least} networks would do; more make better predictions")


def _choose(
    designs: Sequence[Design],
    accuracy: Floats,
    weight: Floats,
    seen: Ints,
    fitted: Callable[[int], None],
) -> Chosen:
    """The fit to the rows `seen`, of the form, ceiling and penalty that do best within them."""
    y = accuracy[seen]
    w = _weights(y, weight[seen])
    top, spread = float(y.max()), float(y.std()) or 1.0
    ceilings = sorted({round(min(top + a * spread, 100.0), DIGITS) for a in ABOVE})
    targets = np.log(np.array(ceilings)[None, :] - y[:, None])
    part = np.random.default_rng(1).permutation(len(seen)) % FOLDS
    best: tuple[float, Design, int, int] | None = None
    for one in designs:
        matrix = one.matrix[seen]
        errors = np.zeros((len(PENALTIES), len(ceilings)))
        for fold in range(FOLDS):
            fit, test = part != fold, part == fold
            x, intercept = ridge_path(matrix[fit], targets[fit], w[fit], PENALTIES)
            total = np.einsum("nf,pft->pnt", matrix[test], x) + intercept[:, None, :]
            error = np.array(ceilings) - np.exp(total) - y[test][None, :, None]
            errors += np.einsum("n,pnt->pt", weight[seen][test], error**2)
            fitted(1)
        p, c = divmod(int(errors.argmin()), len(ceilings))
        if best is None or errors[p, c] < best[0]:
            best = (float(errors[p, c]), one, p, c)
    if best is None:
        raise AssertionError("there is a form")
    _, one, p, c = best
    x, intercept = ridge_path(one.matrix[seen], targets[:, [c]], w, PENALTIES[p : p + 1])
    return Chosen(one, ceilings[c], PENALTIES[p], x[0, :, 0], float(intercept[0, 0]))


def _weights(accuracy: Floats, weight: Floats) -> Floats:
    """What rows of the fit count, (N,). An error of the logarithm is one in points over what the
    network lacks, so the square of that makes errors of all networks count alike, in points."""
    return weight * (100.0 - accuracy) ** 2


def _errors(logs: Floats, error: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Predicted logarithm and error (root of the mean square), by parts of equal size."""
    order = np.argsort(logs, kind="stable")
    found: dict[float, float] = {}
    for some in np.array_split(order, BINS):
        found[round(float(logs[some].mean()), DIGITS)] = round(
            float(np.sqrt(np.mean(error[some] ** 2))), 4
        )
    return tuple(found), tuple(found.values())


def _stages(chosen: Chosen, states: States) -> tuple[tuple[StageAccuracyData, ...], float]:
    """The entries of all stages, each with a positive sum, and what was added for that in all."""
    found: list[StageAccuracyData] = []
    shift = 0.0
    resolution = chosen.coefficients[-len(chosen.design.resolutions) :]
    for s, at in enumerate(states.space.elastic):
        level = resolution + chosen.intercept if s == 0 else np.zeros_like(resolution)
        entries = _entries(chosen, states, s, states.space.stages[at], level)
        more = round(LEAST_LOSS - min(map(_least, entries)), DIGITS)
        shift += more
        for entry in entries:
            base = tuple(tuple(round(v + more, DIGITS) for v in row) for row in entry.base)
            found.append(entry.model_copy(update={"base": base}))
    return tuple(found), round(shift, DIGITS)


def _least(entry: StageAccuracyData) -> float:
    """The least sum of a stage."""
    rows = positions(entry.depths)
    return min(
        min(row[d] for row in entry.base)
        + sum(min(entry.grid[rows[depth, position]]) for position in range(depth))
        for d, depth in enumerate(entry.depths)
    )


def _entries(
    chosen: Chosen, states: States, s: int, stage: Stage, level: Floats
) -> list[StageAccuracyData]:
    """One per block type that was seen in a stage."""
    same, form = Canonical(stage), chosen.design.form
    columns = chosen.design.columns[s]
    depths = tuple(sorted({len(blocks) for _, blocks in states.states[s]}))

    def summed(features: dict[tuple[object, ...], float]) -> float:
        return float(
            sum(chosen.coefficients[columns[k]] * v for k, v in features.items() if k in columns)
        )

    def term(number: int, block: Block, depth: int, position: int) -> float:
        traits = traits_of(stage, number, same(number, block))
        return round(summed(block_features(form, traits, depth, position)), DIGITS)

    entries: list[StageAccuracyData] = []
    used = np.bincount(states.index[:, s], minlength=len(states.states[s]))
    for number in sorted({number for number, _ in states.states[s]}):
        seen = [blocks for n, blocks in states.states[s] if n == number]
        axes = _axes(stage, number, [block for blocks in seen for block in blocks])
        base = [[summed(depth_features(form, number, d)) + float(r) for d in depths] for r in level]
        choice = stage.choices[number]
        entries.append(
            StageAccuracyData(
                stage=s + 1,
                block=family(choice).identity,
                name=choice.block.name,
                depths=depths,
                axes=axes,
                base=tuple(tuple(row) for row in base),
                grid=tuple(
                    tuple(term(number, block, depth, position) for block in product(*axes))
                    for depth, position in positions(depths)
                ),
                rows=int(
                    sum(u for u, (n, _) in zip(used, states.states[s], strict=True) if n == number)
                ),
            )
        )
    return entries


def _axes(stage: Stage, number: int, blocks: Sequence[Block]) -> tuple[tuple[float, ...], ...]:
    """The seen values of the width and of each setting."""
    return tuple(tuple(sorted(set(values))) for values in zip(*blocks, strict=True))
