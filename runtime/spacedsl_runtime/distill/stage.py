"""A BKD stage: an elastic stage between learnable 1x1 projections to a teacher's widths."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.ir.subnet import Subnet
from spacedsl_runtime.elastic.functional import channels_last, leading, to_channels_last
from spacedsl_runtime.elastic.modules import initialise
from spacedsl_runtime.elastic.static import build_static
from spacedsl_runtime.elastic.supernet import ElasticStages
from spacedsl_runtime.plan import Source, check_subnet, read_plan


class BkdStage(ElasticStages):
    """`stage(x, subnet)` maps the teacher's feature map before the stage to one like the teacher's
    after it. A subnet has one stage and an active input width `cin`.

    `before` (max cin, teacher_in, 1, 1) and `after` (teacher_out, max width, 1, 1) are sliced like
    every other weight; they have neither norm nor bias."""

    def __init__(self, plan: SupernetPlan, teacher_in: int, teacher_out: int) -> None:
        super().__init__(plan)
        widest = max(plan.stages[0].widths or plan.cins)
        self.before = nn.Parameter(torch.empty(max(plan.cins), teacher_in, 1, 1))
        self.after = nn.Parameter(torch.empty(teacher_out, widest, 1, 1))

    def forward(
        self, x: Float[Tensor, "n teacher_in h w"], subnet: Subnet
    ) -> Float[Tensor, "n teacher_out h2 w2"]:
        """(N, teacher_in, H, W) -> (N, teacher_out, H', W')."""
        before, after = self.projections(subnet)
        x = F.conv2d(to_channels_last(x), before)
        return F.conv2d(self.run_program(self.program(subnet), x), after)

    def projections(self, subnet: Subnet) -> tuple[Tensor, Tensor]:
        """The active (cin, teacher_in, 1, 1) and (teacher_out, width, 1, 1)."""
        cin = subnet.of.channels
        width = subnet.stages[0].blocks[-1].width or cin
        return leading(self.before, cin), leading(self.after, self.after.shape[0], width)

    def extract(self, subnet: Subnet) -> nn.Module:
        """A plain static module with copies of the sub-stage's weights, projections included; for
        `recalibrate` and evaluation. Raises `SubnetError`."""
        check_subnet(self.plan, subnet)
        before, after = (projection(w) for w in self.projections(subnet))
        inner = build_static(self.program(subnet), self.weights_at)
        return channels_last(nn.Sequential(before, inner, after).train(self.training))


def projection(weight: Tensor) -> nn.Conv2d:
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=False, device=weight.device)
    with torch.no_grad():
        conv.weight.copy_(weight)
    return conv


def load_bkd_stage(plan: Source, teacher_in: int, teacher_out: int, seed: int = 0) -> BkdStage:
    """The stage of a BKD plan between a teacher's widths, He-initialised, channels last. Raises
    `PlanError`."""
    stage = BkdStage(read_plan(plan, "bkd"), teacher_in, teacher_out)
    initialise(stage, seed)
    return channels_last(stage)
