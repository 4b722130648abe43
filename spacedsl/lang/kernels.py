"""Kernels of convolutions: odd, so that their padding is the same on both sides."""

from __future__ import annotations

import re

from spacedsl.ir.block import MAX_KERNEL, Block, Conv, DwConv, Value
from spacedsl.ir.expr import Ref
from spacedsl.lang.report import Report
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.syntax.tree import Node, Token


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
    """Report a value that no convolution can have as its kernel, where it stands. Raises
    `Abandon`."""
    if isinstance(value, int) and value % 2 == 1 and least <= value <= MAX_KERNEL:
        return
    if isinstance(value, int) and value % 2 == 0 and least < value < MAX_KERNEL:
        message = f"{what} {value} is even: a {value}x{value} convolution has no same padding"
        help = f"write an odd number, as {value - 1} or {value + 1}"
    else:
        message = f"{what} {value} is no kernel: an odd whole number from {least} to {MAX_KERNEL}"
        help = "write 3, 5 or 7"
    raise report.fail("bad-value", message, at, help)


def check_kernel_word(token: Token, known: list[str], report: Report) -> None:
    """Raises `Abandon` where a word that is no parameter says a kernel as elsewhere."""
    size = re.fullmatch(r"[kK]_?([0-9]{1,2})(?:x\1)?", token.text)
    meant = f"{size[1]}x{size[1]}" if size else None
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
