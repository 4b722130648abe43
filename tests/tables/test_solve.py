"""The numerics under the fits."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spacedsl.tables.solve import (
    conjugate_gradients,
    monotone,
    non_negative,
    ridge,
    robust_non_negative,
)
from spacedsl.tables.statistics import kendall_tau, r_squared


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_non_negative_holds_a_negative_solution_at_zero() -> None:
    features = rng().normal(size=(200, 3))
    target = features @ np.array([2.0, -1.0, 0.5])
    found = non_negative(features.T @ features, features.T @ target)
    free = np.linalg.lstsq(features[:, [0, 2]], target, rcond=None)[0]
    assert found[1] == 0
    np.testing.assert_allclose(found[[0, 2]], free, atol=1e-5)


def test_robust_fit_ignores_wild_rows() -> None:
    features = rng().uniform(0.5, 2.0, size=(400, 3))
    truth = np.array([1.0, 0.3, 2.0])
    target = features @ truth
    target[::20] *= 10.0
    np.testing.assert_allclose(robust_non_negative(features, target), truth, rtol=0.02)


def test_conjugate_gradients_leave_the_undetermined_at_zero() -> None:
    matrix = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]])
    found = conjugate_gradients(
        lambda x: matrix @ x, lambda r: matrix.T @ r, np.array([2.0, 4.0]), 3, iterations=50
    )
    np.testing.assert_allclose(found, [1.0, 1.0, 0.0], atol=1e-9)


def test_ridge_without_penalty_is_least_squares() -> None:
    features = rng().normal(size=(100, 2))
    coefficients, intercept = ridge(features, features @ [3.0, -2.0] + 5.0, 1e-9)
    np.testing.assert_allclose(coefficients, [3.0, -2.0], atol=1e-6)
    assert abs(intercept - 5.0) < 1e-6


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=8, max_size=60))
def test_monotone_rises_strictly(pairs: list[tuple[float, float]]) -> None:
    x, y = (np.array(values) for values in zip(*pairs, strict=True))
    knots, levels = monotone(x, y, knots=6)
    assert (np.diff(knots) > 0).all()
    assert (np.diff(levels) > 0).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12))
def test_kendall_tau_counts_pairs(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(values, dtype=float) for values in zip(*pairs, strict=True))
    both = list(itertools.combinations(range(len(a)), 2))
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in both]
    ties = sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs)
    if ties == 0:
        assert np.isnan(kendall_tau(a, b))
    else:
        assert np.isclose(kendall_tau(a, b), sum(x * y for x, y in signs) / ties**0.5)


def test_r_squared_of_truth_is_one() -> None:
    truth = rng().normal(size=50)
    assert r_squared(truth, truth) == 1.0
    assert abs(r_squared(truth, np.full(50, truth.mean()))) < 1e-12
