"""QAT: the same supernet with a fake quantiser on every tensor that its target keeps in 8 bits."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from spacedsl.ir.subnet import Subnet
from spacedsl_runtime.elastic.static import Maps
from spacedsl_runtime.elastic.supernet import Supernet, check_images
from spacedsl_runtime.plan import check_subnet
from spacedsl_runtime.quant.extracted import QatSubnet
from spacedsl_runtime.quant.modules import outputs_of
from spacedsl_runtime.quant.stages import QatStages


class QatSupernet(QatStages[Supernet]):
    """`qat(x, subnet)` as `supernet(x, subnet)`, in 8 bits."""

    def forward(
        self,
        x: Float[Tensor, "n c h w"],
        subnet: Subnet,
        dropout: bool = True,
        recompute: bool = False,
    ) -> Float[Tensor, "n {self.supernet.classes}"] | Maps:
        """(N, channels, R, R) -> (N, classes), or taps by name; `dropout` and `recompute` as for
        the supernet."""
        check_images(x, self.supernet.channels, subnet)
        graph = self.graph(subnet)
        made = self.run_graph(graph, x, dropout=dropout, recompute=recompute)
        return outputs_of(graph, made, self.plan.taps)

    def extract(self, subnet: Subnet) -> QatSubnet:
        """One subnet with copies of its weights, statistics and quantisers; the same outputs.
        Raises `SubnetError`."""
        check_subnet(self.plan, subnet)
        return self.extract_unchecked(subnet)

    def extract_unchecked(self, subnet: Subnet) -> QatSubnet:
        """`extract` at a resolution that the plan need not declare."""
        return QatSubnet(self, subnet, self.graph(subnet))
