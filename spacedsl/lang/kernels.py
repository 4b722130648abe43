"""Windows as pages say them: kernels, strides and dilations."""

from __future__ import annotations

import re

from spacedsl.ir.block import MAX_KERNEL, Block, Conv, DwConv, Value, sizes_of, walk
from spacedsl.ir.expr import Ref, names_in
from spacedsl.ir.inline import inlined
from spacedsl.lang.report import Report
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.size import Pair, pair
from spacedsl.syntax.tree import Node, Token

WINDOWS = ("kernel", "dilation")
"""The fields of ops that may be pairs."""


def is_stride(word: str) -> bool:
    """Whether a modifier is a stride of its own: `s2`, `s2x1`."""
    return re.fullmatch("s[0-9]+(x[0-9]+)?", word) is not None


def holds_window(block: Block, name: str) -> bool:
    """Whether a parameter is a kernel or a dilation and nothing else, so that it may be a pair."""
    found = [
        field in WINDOWS and isinstance(size, Ref)
        for op in walk(inlined(block))
        for field, size in sizes_of(op)
        if name in names_in(size)
    ]
    return bool(found) and all(found)


def kernel_parameters(block: Block) -> dict[str, int]:
    """Parameters that are the kernel of a convolution which is always there, with the least that
    they can be: a stack of 3x3 needs 3."""
    names = {param.name for param in block.params}
    found: dict[str, int] = {}
    for op in block.ops:
        if isinstance(op, Conv | DwConv) and isinstance(op.kernel, Ref) and op.kernel.name in names:
            least = 3 if isinstance(op, DwConv) and op.stacked else 1
            found[op.kernel.name] = max(least, found.get(op.kernel.name, 1))
    return found


def check_kernel(value: Value, at: Node | Token, what: str, least: int, report: Report) -> None:
    """Report a value that no convolution can have as its kernel, where it stands. `least` is above
    1 for a stack of 3x3, whose kernel is odd and square. Raises `Abandon`."""
    if isinstance(value, int | Pair):
        stackable = isinstance(value, int) and value % 2 == 1 and value >= least
        fits = all(1 <= side <= MAX_KERNEL for side in pair(value))
        if fits and (least == 1 or stackable):
            return
        if fits and isinstance(value, int) and least < value < MAX_KERNEL:
            message = f"{what} {value} is even: a stack of 3x3 has an odd kernel"
            help = f"write an odd number, as {value - 1} or {value + 1}"
            raise report.fail("bad-value", message, at, help)
    kind = "a whole number" if least == 1 else "an odd whole number"
    message = f"{what} {value} is no kernel: {kind} from {least} to {MAX_KERNEL}"
    help = "write 3, 5 or 7" if least > 1 else "write 3, 5 or 7, or rows and columns, as 10x4"
    raise report.fail("bad-value", message, at, help)


def check_kernel_word(token: Token, known: list[str], report: Report) -> None:
    """Raises `Abandon` where a word that is no parameter says a kernel as elsewhere."""
    size = re.fullmatch(r"[kK]_?([0-9]{1,2})(?:x([0-9]{1,2}))?", token.text)
    meant = f"{size[1]}x{size[2] or size[1]}" if size else None
    if re.fullmatch("[kK]([xX][kK])?", token.text) and "kernel" in known:
        meant = "kernel"
    if meant is not None:
        fixes = [(f"write `{meant}`", token.span, meant)]
        message = f"`{token.text}` is no kernel"
        raise report.fail("notation", message, token, f"write `{meant}`", fixes)
    if token.text in ACTIVATIONS:
        message = f"`{token.text}` stands where the kernel does"
        help = f"an op says its kernel first, then what follows: `3x3 {token.text}`"
        raise report.fail("notation", message, token, help)
