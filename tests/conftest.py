"""Which tests check shapes (jaxtyping); and Hypothesis profiles, chosen by HYPOTHESIS_PROFILE: `ci`
(the default) tries the same examples on every run; `nightly` tries 10,000 per law, others each time
(tests/README.md)."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # workers already take the cores

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import config, install_import_hook

from tests.with_timm import define_operators

RUNTIME = Path(__file__).parents[1] / "runtime"
SHAPED = [
    ".".join(path.relative_to(RUNTIME).with_suffix("").parts)
    for path in RUNTIME.rglob("*.py")
    if "from jaxtyping" in path.read_text()
]
"""Modules that say shapes."""

install_import_hook(SHAPED, "beartype.beartype")


BULK = ("test_parity.py", "test_trained.py")
"""Tests of the runtime that run what others check, very often."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Shapes hold in tests/runtime; others, which train and search by commands, would take three
    times as long."""
    checked = "runtime" in item.path.parts and item.path.name not in BULK
    config.update("jaxtyping_disable", not checked)


settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "nightly",
    deadline=None,
    max_examples=10_000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def torchvision() -> None:
    """What timm imports can be imported."""
    define_operators()
