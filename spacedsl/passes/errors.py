"""Bodies that do not fit the sizes they are bound to."""

from __future__ import annotations

from spacedsl.ir.expr import EvaluationError, Expr, SizeError


class BindError(ValueError):
    """A body does not fit the sizes it is bound to; the message names op and sizes."""


class WidthError(BindError):
    """A body ends at another width than its stage's."""


class SaidError(BindError):
    """What `expr` says is no size; `fraction`: for it is not a whole number."""

    def __init__(self, message: str, expr: Expr, *, fraction: bool = False) -> None:
        super().__init__(message)
        self.expr, self.fraction = expr, fraction


class GroupsError(SaidError):
    """So many groups do not divide a width."""


class BranchError(BindError):
    """Bodies end at maps that cannot be joined, or a `split` cannot make equal parts."""


class ShortcutError(BindError):
    """A shortcut does not meet its main path: `width` where their widths differ."""

    def __init__(self, message: str, *, width: bool) -> None:
        super().__init__(message)
        self.width = width


def unsized(error: EvaluationError) -> BindError:
    """The error of a body, or of a stage's width, of which an expression has no value."""
    if isinstance(error, SizeError):
        return SaidError(str(error), error.expr, fraction=error.fraction)
    return BindError(str(error))
