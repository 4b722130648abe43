"""A network of timm, its structure and its weights, as a page and a checkpoint. Needs PyTorch and
timm, which are imported when it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spacedsl.files import check_writable, write_atomic
from spacedsl.flows.faults import runtime_faults
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write

SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True, repr=False)
class Imported:
    """`page` holds the `model` and its space, whose only network it is; `checkpoint` has its
    weights. Logits differ from timm's by at most `differs` on a random image, in double precision,
    where the largest is `largest`."""

    model: Subnet
    page: Path
    checkpoint: Path
    text: str
    weights_from: str
    differs: float
    largest: float

    def __repr__(self) -> str:
        return f"<{self.model.name} in {self.page}, {self.weights_from}>"


def import_timm(
    name: str,
    out: Path,
    *,
    weights: Path | None = None,
    pretrained: bool = False,
    seed: int = 0,
    resolution: int | None = None,
    item: str | None = None,
) -> Imported:
    """Write the page `out` of timm's network `name`, and the checkpoint beside it: with the weights
    of a file, timm's pretrained ones (which timm downloads), or random ones of `seed`. `item`: the
    model's name on the page. Raises `SpaceError`."""
    checkpoint = out.with_suffix(SUFFIX)
    check_writable(out)
    check_writable(checkpoint)
    with runtime_faults():
        from spacedsl_runtime.foreign.timm_models import Wanted, import_network

        wanted = Wanted(name, weights, pretrained, seed, resolution)
        said = item or name.partition(".")[0]
        found = import_network(wanted, said, checkpoint)
        model, origin = found.subnet, wanted.weights_from
    comments = [f"timm's {name}. {checkpoint.name}: {origin}."]
    text = write(model.of, model, comments=comments)
    write_atomic(out, text)
    return Imported(model, out, checkpoint, text, origin, found.differs, found.largest)
