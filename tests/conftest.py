"""Hypothesis profiles, chosen by HYPOTHESIS_PROFILE: `ci` (the default) tries the same examples on
every run; `nightly` tries 10,000 per law, others each time (tests/README.md)."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # workers already take the cores

from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

install_import_hook("spacedsl_runtime", "beartype.beartype")  # shapes hold in every test

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "nightly",
    deadline=None,
    max_examples=10_000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
