"""Codes of benchmarks, from and to pages."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from spacedsl import api
from spacedsl.bridges.benchmarks import benchmark_code, benchmark_of, benchmark_subnet
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.bound import layers
from spacedsl.passes.cost import subnet_cost
from tests.support import SHARED, library_model, library_space, needs_shared
from tests.tables.accuracy_rows import random_codes

LSQ_SCALARS = 3
"""Per convolution; our cost pass counts them, the benchmarks do not."""


def codes() -> Iterator[str]:
    rng = random.Random(0)
    yield from random_codes(4)
    yield "00000000"
    yield from ("".join(rng.choice("012") for _ in range(8)) for _ in range(4))


@pytest.mark.parametrize("code", list(codes()))
def test_a_code_becomes_a_page_and_comes_back(code: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    page = tmp_path / "m.space"
    run = CliRunner().invoke(app, ["import", code, "--name", "m", "--out", str(page)])
    assert run.exit_code == 0, run.output
    assert CliRunner().invoke(app, ["show", str(page), "--code"]).stdout.strip() == code


def test_a_kernel_of_what_is_not_used_says_nothing() -> None:
    space = library_space("benchmarks/macro")
    subnets = api.sample(space, 40)
    for subnet in subnets:
        code = benchmark_code(subnet)
        assert code is not None
        assert subnet_cost(benchmark_subnet(code, space, "x")) == subnet_cost(subnet)


def test_other_networks_have_no_such_code() -> None:
    assert benchmark_code(library_model("models/seqnet-vnni-a0")) is None
    assert benchmark_of("0" * 9) is None
    assert benchmark_of("3" * 8) is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ie1k3d1", "the code has 1 stages"),
        (f"ie1k3d4-{'-'.join(['ie1k3d1'] * 6)}", "stage1: depth 4"),
        (f"ie1k3d0-{'-'.join(['ie1k3d1'] * 6)}", "no block type|depth"),
    ],
)
def test_a_code_outside_the_space_says_where(code: str, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        benchmark_subnet(code, None, "x")


def convolutions(subnet) -> int:  # type: ignore[no-untyped-def]
    counts = {"conv": 1, "dwconv": 1, "linear": 1, "se": 2}
    sites = [site for stage in subnet_sites(subnet) for site in stage]
    return sum(counts.get(layer.kind, 0) for site in sites for layer in layers(site.bind()))


@needs_shared
@pytest.mark.parametrize("name", ["mnasnet_imagenet", "macro_cifar10"])
def test_pages_have_the_published_parameters(name: str) -> None:
    space = library_space(f"benchmarks/{name.partition('_')[0]}")
    with (SHARED / "data" / "accuracies" / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in random.Random(0).sample(rows, 40):
        subnet = benchmark_subnet(row["code"], space, "x")
        cost = subnet_cost(subnet)
        params = (cost.params - LSQ_SCALARS * convolutions(subnet)) / 1e6
        assert params == pytest.approx(float(row["params_M"]), rel=4e-6)
        if "macro" in name:
            assert cost.flops / 1e6 == pytest.approx(float(row["macs_M"]), rel=2e-6)
