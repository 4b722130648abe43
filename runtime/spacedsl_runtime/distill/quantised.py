"""A BKD stage in 8 bits: LSQ+ on every tensor that the plan's target keeps in 8 bits.

The stage's input is one of them, since the stage before leaves it so. The projections to the
teacher's widths belong to no network and stay in FP32."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from spacedsl.ir.subnet import Subnet
from spacedsl_runtime.distill.stage import BkdStage, projection
from spacedsl_runtime.elastic.functional import channels_last
from spacedsl_runtime.plan import check_subnet
from spacedsl_runtime.quant.extracted import QatLayers
from spacedsl_runtime.quant.modules import last_of
from spacedsl_runtime.quant.stages import QatStages


class QatBkdStage(QatStages[BkdStage]):
    """`qat(x, subnet)` as `stage(x, subnet)`, in 8 bits between the projections."""

    def start(self, subnets: Sequence[Subnet], images: Sequence[Tensor]) -> None:
        """As for a supernet; the batches are the teacher's maps (N, teacher_in, H, W)."""
        pairs = zip(subnets, images, strict=True)
        super().start(subnets, [F.conv2d(x, self.supernet.projections(s)[0]) for s, x in pairs])

    def forward(
        self, x: Float[Tensor, "n teacher_in h w"], subnet: Subnet
    ) -> Float[Tensor, "n teacher_out h2 w2"]:
        """(N, teacher_in, H, W) -> (N, teacher_out, H', W')."""
        before, after = self.supernet.projections(subnet)
        graph = self.graph(subnet)
        made = self.run_graph(graph, F.conv2d(x, before))
        return F.conv2d(last_of(graph, made), after)

    def extract(self, subnet: Subnet) -> QatSubstage:
        """One sub-stage with copies of its weights, statistics and quantisers; the same outputs.
        Raises `SubnetError`."""
        check_subnet(self.plan, subnet)
        return QatSubstage(self, subnet)


class QatSubstage(QatLayers):
    """`net(x)`: one sub-stage with its projections, in eval mode with the arithmetic of the integer
    runtime between them."""

    def __init__(self, origin: QatBkdStage, subnet: Subnet) -> None:
        super().__init__(origin, subnet, origin.graph(subnet))
        before, after = origin.supernet.projections(subnet)
        self.before, self.after = projection(before), projection(after)
        channels_last(self).train(origin.training)

    def forward(self, x: Float[Tensor, "n teacher_in h w"]) -> Float[Tensor, "n teacher_out h2 w2"]:
        """(N, teacher_in, H, W) -> (N, teacher_out, H', W')."""
        made = self.run_graph(self.graph, self.before(x))
        found: Tensor = self.after(last_of(self.graph, made))
        return found
