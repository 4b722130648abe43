"""QAT of the stages of a supernet: a fake quantiser on every tensor that its target keeps in 8
bits."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from spacedsl.compiler.qat import KEY, QatGraph, clip_of, qat_graph
from spacedsl.compiler.supernet import PlanRules, SupernetPlan
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.program import Layer
from spacedsl_runtime.elastic.modules import ElasticConv
from spacedsl_runtime.elastic.sums import fold_sums, folded_norms, settle_all
from spacedsl_runtime.elastic.supernet import MAX_PROGRAMS, ElasticStages
from spacedsl_runtime.errors import PlanError
from spacedsl_runtime.plan import Choices, choices_of, mistakes, subnet_of
from spacedsl_runtime.quant.fake import ActivationQuantiser, WeightQuantiser
from spacedsl_runtime.quant.modules import Quantised, Ranges, Weighted

_ONE = torch.ones(1)


S_co = TypeVar("S_co", bound=ElasticStages, covariant=True)


class QatStages(Quantised, Generic[S_co]):
    """`supernet`, a whole one or a stage, quantised as its plan's target does it. It is not copied:
    its weights train in either mode. Convolutions that it trains as sums are folded, and the
    largest subnet computes the same (`calibrate_sums` comes before). Call `start` once, before the
    optimiser is made, or load a checkpoint. Raises `PlanError` for a plan without target."""

    def __init__(self, supernet: S_co) -> None:
        super().__init__()
        fold_sums(supernet)
        self.supernet = supernet
        self.rules = rules_of(supernet.plan)
        self._graphs: dict[Choices, QatGraph] = {}

    @property
    def plan(self) -> SupernetPlan:
        """The supernet's."""
        return self.supernet.plan

    def graph(self, subnet: Subnet) -> QatGraph:
        """The INT8 graph of a subnet; remembered. Raises `SubnetError`."""
        choices = choices_of(subnet)
        self.remember(choices)
        return self._graphs[choices]

    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def remember(self, choices: Choices) -> None:
        """Make the graph of the subnet with these choices, if it is not yet; nothing that is
        traced."""
        if choices in self._graphs:
            return
        if len(self._graphs) >= MAX_PROGRAMS:
            self._graphs.clear()
        subnet = subnet_of(self.plan, choices)
        program, image = self.supernet.program(subnet), self.plan.input_shape(subnet)
        with mistakes(PlanError):
            self._graphs[choices] = qat_graph(program, image, self.rules.rewrite)

    def weights_at(self, layer: Layer) -> Weighted:
        """The supernet's module with a layer's weights."""
        return cast(Weighted, self.supernet.weights_at(layer))

    def covering(self, rng: random.Random, draws: int = 500) -> list[Subnet]:
        """Subnets that have, between them, every quantiser that the largest, the smallest and
        `draws` random ones have: what `start` should see."""
        wanted = [self.supernet.largest(), self.supernet.smallest()]
        return self.covering_all([*wanted, *(self.supernet.sample(rng) for _ in range(draws))])

    def covering_all(self, wanted: Iterable[Subnet]) -> list[Subnet]:
        """Those of `wanted` that have, between them, every quantiser that any of them has."""
        found, known = list[Subnet](), set[str]()
        for subnet in wanted:
            keys = {key for n in self.graph(subnet) for key in (n.edge, n.weights) if key}
            if not keys <= known:
                known |= keys
                found.append(subnet)
        return found

    def start(self, subnets: Sequence[Subnet], images: Sequence[Tensor]) -> None:
        """Make the quantisers of every tensor that `subnets` have, from the ranges on `images`
        (one batch (N, C, H, W) per subnet) in FP32 with the batch's own statistics."""
        settle_all(self.supernet, folded_norms(self.supernet), subnets, images)
        ranges: Ranges = {}
        with torch.no_grad():
            for subnet, batch in zip(subnets, images, strict=True):
                self.run_graph(self.graph(subnet), batch, ranges=ranges)
        for key, (low, high) in ranges.items():
            quantiser = ActivationQuantiser(clip_of(key))
            quantiser.start(low, high)
            self.edges[key] = quantiser
        for node in (node for subnet in subnets for node in self.graph(subnet)):
            if node.weights and node.weights not in self.scales:
                source, part = self.weights_at(node.sizes), node.sizes.part
                whole = source.whole(part) if isinstance(source, ElasticConv) else source.weight
                self.scales[node.weights] = WeightQuantiser(whole)
        self.to(next(self.supernet.parameters()).device)

    def quantisers_for(self, names: Iterable[str]) -> nn.ModuleDict:
        """New `edges` and `scales` for the names of a saved state. Raises `ValueError` for a key
        that is none."""
        edges, scales = nn.ModuleDict(), nn.ModuleDict()
        for name in names:
            part, _, rest = name.partition(".")
            key = rest.rpartition(".")[0]
            if part in ("edges", "scales") and not KEY.fullmatch(key):
                raise ValueError(f"{name}: {key!r} is no key of a quantiser")
            if part == "edges" and key not in edges:
                edges[key] = ActivationQuantiser(clip_of(key))
            elif part == "scales" and key not in scales:
                scales[key] = WeightQuantiser(_ONE)
        return nn.ModuleDict({"edges": edges, "scales": scales})

    def adopt(self, quantisers: nn.ModuleDict) -> None:
        """Take these `edges` and `scales` in place of the present ones."""
        self.edges = cast(nn.ModuleDict, quantisers["edges"])
        self.scales = cast(nn.ModuleDict, quantisers["scales"])
        self.to(next(self.supernet.parameters()).device)

    def weight_parameters(self) -> Iterator[nn.Parameter]:
        """What the FP32 supernet learns."""
        return self.supernet.parameters()


def rules_of(plan: SupernetPlan) -> PlanRules:
    """The rules in a plan. Raises `PlanError` where there are none."""
    if plan.rules is None:
        raise PlanError(
            f"the plan {plan.name} names no target, so it has no set of 8-bit tensors: compile the "
            "space with --target"
        )
    return plan.rules
