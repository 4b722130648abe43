"""Tables fitted to whole networks: their accuracies, or their latencies on a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import Size
from spacedsl.passes.bind import Site, output_size, site_of, subnet_sites
from spacedsl.passes.costs import costs
from spacedsl.search.protocols import QualityModel
from spacedsl.tables.blocks import BlockIndex, reachable_sites
from spacedsl.tables.fit_accuracy import FOLDS, Told, fit_accuracy, require_rows
from spacedsl.tables.fit_latency import fit_sums
from spacedsl.tables.latency import FittedLatency
from spacedsl.tables.network_sums import network_values
from spacedsl.tables.networks import Network
from spacedsl.tables.schema import LatencyData, Source, TableFile
from spacedsl.tables.solve import Floats
from spacedsl.tables.statistics import kendall_tau, r_squared

LOOKED_AT, FALLING = 200, -0.3
"""Networks whose FLOPs are compared with their accuracies, and Kendall's tau that is strange."""

TRAINED = "none: trained networks"
TOP1 = "top-1"
"""What stands for teacher and NSR definition where there are accuracies instead of losses."""


def accuracy_table(
    networks: Sequence[Network],
    space: Space,
    provenance: str,
    licence: str,
    told: Told = lambda share: None,
) -> TableFile:
    """The table of accuracies in percent. Raises `SpaceError`."""
    data = fit_accuracy(networks, space, told)
    source = _source(space, len(networks), provenance, licence)
    return TableFile(source=source.model_copy(update={"nsr": TOP1}), accuracy=data)


def doubt(networks: Sequence[Network]) -> str | None:
    """What is strange about a list of accuracies, in words: that networks with more FLOPs are
    worse, as where errors are taken for accuracies."""
    some = networks[:: -(-len(networks) // LOOKED_AT)]
    flops = [
        float(costs([s for stage in subnet_sites(n.subnet) for s in stage])[0].sum()) for n in some
    ]
    tau = kendall_tau(np.array(flops), np.array([n.value for n in some]))
    if not tau < FALLING:
        return None
    return (
        f"networks with more FLOPs have lower accuracies here (Kendall's tau {tau:.2f}); if the "
        "column holds errors, write 100 minus each"
    )


@dataclass(frozen=True, slots=True)
class LatencyFit:
    """A latency table, and how it does on rows that a fit to the others had not seen: R squared,
    and the share of them within 5 %."""

    table: TableFile
    r2: float
    within_5: float


def latency_table(
    networks: Sequence[Network], space: Space, device: str, provenance: str, licence: str
) -> LatencyFit:
    """The table of latencies in milliseconds. Raises `SpaceError`."""
    require_rows(len(networks), space)
    part = np.random.default_rng(0).permutation(len(networks)) % FOLDS
    trial = [n for n, p in zip(networks, part, strict=True) if p]
    rest = [n for n, p in zip(networks, part, strict=True) if not p]
    model, index = FittedLatency(_fit_latency(trial, space)), _index(rest)
    measured = np.array([n.value for n in rest])
    predicted = np.nan_to_num(index.totals(np.nan_to_num(model.predict(index.sites).ms)))
    source = _source(space, len(networks), provenance, licence)
    table = TableFile(
        source=source.model_copy(update={"device": device}), latency=_fit_latency(networks, space)
    )
    within = float((np.abs(predicted / measured - 1.0) <= 0.05).mean())
    return LatencyFit(table, r_squared(measured, predicted), within)


def _source(space: Space, rows: int, provenance: str, licence: str) -> Source:
    return Source(
        hyperspace=space.name,
        hyperspace_hash=space_identity(space),
        teacher=TRAINED,
        nsr="",
        provenance=provenance,
        licence=licence,
        rows=rows,
    )


def _fit_latency(networks: Sequence[Network], space: Space) -> LatencyData:
    resolutions = tuple(sorted({n.subnet.resolution for n in networks}))
    sites = reachable_sites(space, resolutions)
    target = np.array([n.value for n in networks])
    return fit_sums(_index(networks, list(sites)), target, resolutions)


SiteKey = tuple[int, int, int, Size, Size, tuple[tuple[str, object], ...]]


def _index(networks: Sequence[Network], reachable: Sequence[Site] = ()) -> BlockIndex:
    """Networks as sums over their blocks, stem and head included, and blocks that there may be."""
    known: dict[SiteKey, tuple[int, Size]] = {}
    sites: list[Site] = []

    def number(site: Site) -> tuple[int, Size]:
        """Which one it is, and its output's size."""
        choice = id(site.choice)
        key = (choice, site.cin, site.cout, site.size, site.stride, site.settings)
        if key not in known:
            known[key] = len(sites), output_size(site)
            sites.append(site)
        return known[key]

    row: list[int] = []
    block: list[int] = []
    for i, network in enumerate(networks):
        for at in _blocks(network.subnet, number):
            row.append(i)
            block.append(at)
    for site in reachable:
        number(site)
    return BlockIndex(tuple(sites), np.array(row), np.array(block), len(networks))


def _blocks(subnet: Subnet, number: Callable[[Site], tuple[int, Size]]) -> list[int]:
    found: list[int] = []
    cin, size = subnet.of.channels, subnet.resolution
    for position, stage in enumerate(subnet.stages):
        declared, choice = subnet.of.stages[position], subnet.choice(position)
        for i, block in enumerate(stage.blocks):
            site = site_of(declared, choice, block, cin, size, i == 0)
            at, size = number(site)
            found.append(at)
            cin = site.end
    return found


@dataclass(frozen=True, slots=True)
class AccuracyReport:
    """How predicted accuracies agree with networks': `sd` is of the errors, in points. Of networks
    that are all equally good there is neither R squared nor tau."""

    rows: int
    r2: float | None
    tau: float | None
    sd: float


def verify_accuracies(networks: Sequence[Network], model: QualityModel) -> AccuracyReport:
    """Compare accuracies in percent with predictions. Raises `SpaceError` where the model predicts
    none, or does not cover a network."""
    if model.valuation.unit != "top-1":
        message = "the quality table predicts no accuracies"
        raise fault(
            "table-part", message, "`spacedsl tables calibrate` or `tables fit --accuracies`"
        )
    measured = np.array([n.value for n in networks])
    predicted: Floats = network_values([n.subnet for n in networks], model)
    r2, tau = r_squared(measured, predicted), kendall_tau(measured, predicted)
    return AccuracyReport(
        rows=len(networks),
        r2=None if np.isnan(r2) else r2,
        tau=None if np.isnan(tau) else tau,
        sd=float(np.sqrt(np.mean((predicted - measured) ** 2))),
    )
