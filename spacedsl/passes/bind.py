"""Bind a block body to sizes: from text to the layers that really run.

The one place where widths are evaluated, strides placed, stacks expanded and ops left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from spacedsl.ir.block import (
    MAX_KERNEL,
    Conv,
    Dropout,
    DwConv,
    GlobalPool,
    Join,
    Linear,
    Op,
    Optional,
    Pool,
    Se,
    Shortcut,
    Shuffle,
    SpaceToDepth,
    Value,
    count,
    walk,
)
from spacedsl.ir.expr import (
    EvaluationError,
    Exact,
    Expr,
    evaluate,
    evaluate_size,
    evaluate_window,
    known,
)
from spacedsl.ir.settings import canonical_settings
from spacedsl.ir.space import BlockChoice, Stage
from spacedsl.ir.subnet import Subnet, SubnetBlock
from spacedsl.operators.layer import Layer
from spacedsl.operators.size import Pair, Size, as_map, by_side, pair
from spacedsl.operators.window import Window
from spacedsl.passes import joins
from spacedsl.passes.bound import Bound, Residual, last_layer
from spacedsl.passes.errors import (
    BindError,
    BranchError,
    GroupsError,
    ShortcutError,
    WidthError,
    unsized,
)
from spacedsl.passes.pyramid import bind_lateral, bind_pyramid


@dataclass(frozen=True, slots=True)
class Site:
    """A block in its place: what a latency or cost depends on. `size`: of the input in pixels."""

    choice: BlockChoice
    cin: int
    cout: int
    size: Size
    stride: Size
    settings: tuple[tuple[str, Value], ...]

    def bind(self) -> tuple[Bound, ...]:
        """The layers of this block. Raises `BindError`."""
        return bind_block(self)

    @property
    def end(self) -> int:
        """The width of what comes out."""
        return self.cout or self.cin

    def __str__(self) -> str:
        """As errors name it: `mbv2 16->24 kernel 3 expand 6 stride 2 at 112 px`."""
        widths = f"{self.cin}->{self.end}"
        settings = [f"{name} {value}" for name, value in self.settings]
        name = self.choice.block.name or "body"
        return " ".join([name, widths, *settings, f"stride {self.stride} at {self.size} px"])


@dataclass(frozen=True, slots=True)
class _Scope:
    env: Mapping[str, Exact | Pair]
    acts: Mapping[str, str]
    stride: Size

    def act(self, name: str | None) -> str | None:
        return None if name is None else self.acts.get(name, name)

    def window(self, op: Conv | DwConv | Pool) -> Window:
        """Raises `BindError` where its kernel is too large."""
        kernel = evaluate_window(op.kernel, self.env)
        step = self.stride if op.stride == "stage" else op.stride
        if max(pair(kernel)) > MAX_KERNEL:
            raise BindError(f"a kernel of {kernel} is larger than {MAX_KERNEL}")
        if isinstance(op, Pool):
            return Window(kernel, step, 1, op.valid)
        dilation = evaluate_window(op.dilation, self.env)
        plain = isinstance(kernel, int) and kernel % 2 and dilation == 1 and not op.valid
        if op.reparam and not plain:
            raise BindError("`reparam` is of an odd square kernel, padded and without dilation")
        return Window(kernel, step, dilation, op.valid)


def bind_block(site: Site) -> tuple[Bound, ...]:
    """Bind `site.choice`'s body. Raises `BindError` where widths have no whole value, a shortcut
    does not meet its main path, or the body does not end at the site's width and size."""
    scope = _scope(site)
    try:
        bound, cout, _ = _bind_ops(site.choice.block.ops, scope, site.cin, site.size)
    except EvaluationError as error:
        raise unsized(error) from None
    if cout != site.end and not _ends_in_classifier(site):
        if not site.cout:
            raise BindError(joins.no_width(site.choice.block.ops, site.cin, cout))
        raise WidthError(f"the body ends at {cout} channels, the stage's width is {site.cout}")
    return bound


def _ends_in_classifier(site: Site) -> bool:
    return any(isinstance(op, Linear) for op in site.choice.block.ops)


def _scope(site: Site) -> _Scope:
    env: dict[str, Exact | Pair] = {"cin": site.cin}
    if site.cout:
        env["cout"] = site.cout
    acts = site.choice.fixed
    for name, value in site.settings:
        if isinstance(value, str):
            acts[name] = value
        else:
            env[name] = known(value)
    try:
        for let in site.choice.block.lets:
            env[let.name] = evaluate(let.value, env)
    except EvaluationError as error:
        raise unsized(error) from None
    return _Scope(env, acts, site.stride)


def _bind_ops(
    ops: tuple[Op, ...], scope: _Scope, cin: int, size: Size, at: int = 0
) -> tuple[tuple[Bound, ...], int, Size]:
    """`at`: the position of the first op in the block's body. The stage's stride is taken by the
    first op marked so; where that op is optional and absent, by the next one."""
    bound: tuple[Bound, ...] = ()
    width, height, main = cin, size, scope
    for op in ops:
        match op.op:  # words are compared faster than classes
            case "shortcut":
                bound = _bind_shortcut(op, scope, bound, (cin, size), (width, height), at)
            case "optional":
                if op.is_there(scope.env[op.param]):
                    more, width, height = _bind_ops(op.body, main, width, height, at + 1)
                    bound += more
                    if _takes_stride(op):
                        main = replace(main, stride=1)
            case "concat" | "sum":
                more, width, height = _bind_join(op, main, width, height, at)
                bound += more
            case "lateral":
                bound += (bind_lateral(width, evaluate_size(op.width, main.env), height, at),)
            case "pyramid":
                bound += (bind_pyramid(op, height, at),)
            case _:
                more, width, height = _bind_op(op, main, width, height, at)
                bound += more
        at += count(op)
    return bound, width, height


def _takes_stride(optional: Optional) -> bool:
    """Whether an op of it is marked `strided`."""
    return any(getattr(op, "stride", None) == "stage" for op in walk(optional.body))


def _bind_op(
    op: Conv | DwConv | Se | Pool | SpaceToDepth | GlobalPool | Linear | Dropout | Shuffle,
    scope: _Scope,
    cin: int,
    size: Size,
    at: int,
) -> tuple[tuple[Bound, ...], int, Size]:
    match op:
        case Conv():
            cout, window = evaluate_size(op.width, scope.env), scope.window(op)
            out = _output(window, size)
            if op.elide and cout == cin and window.keeps(size):
                return (), cin, size
            groups = _groups(op, scope, cin, cout)
            kind: Literal["conv", "dwconv"] = "conv"
            if groups != 1 and groups == cin == cout:
                kind, groups = "dwconv", 1
            conv = _conv_layer(kind, op, scope, (cin, cout), (size, out), window, at, groups)
            return (conv,), cout, out
        case DwConv():
            window = scope.window(op)
            out = _output(window, size)
            if op.elide and window.keeps(size):
                return (), cin, size
            if op.stacked:
                return _bind_stack(op, scope, cin, size, window, at)
            conv = _conv_layer("dwconv", op, scope, (cin, cin), (size, out), window, at)
            return (conv,), cin, out
        case Se():
            squeeze = evaluate_size(op.squeeze, scope.env)
            act, gate = scope.act(op.act), scope.act(op.gate)
            se = Layer("se", cin, cin, size, size, act=act, squeeze=squeeze, gate=gate, op=at)
            return (se,), cin, size
        case Pool():
            window = scope.window(op)
            out = _output(window, size)
            if op.elide and window.keeps(size):
                return (), cin, size
            sizes = size, out, window.kernel, window.stride
            return (Layer(op.op, cin, cin, *sizes, valid=op.valid, op=at),), cin, out
        case SpaceToDepth():
            cout, out = cin * op.block**2, by_side(lambda n: n // op.block, size)
            if by_side(lambda n: n * op.block, out) != size:
                message = f"a map of {as_map(size)} is not made of {as_map(op.block)} pixels each"
                raise BindError(f"space-to-depth {op.block}: {message}")
            layer = Layer(op.op, cin, cout, size, out, op.block, op.block, op=at)
            return (layer,), cout, out
        case GlobalPool():
            return (Layer("pool", cin, cin, size, 1, kernel=size, op=at),), cin, 1
        case Linear():
            if size != 1:
                message = f"linear needs a pooled 1 x 1 input, here it is {as_map(size)}"
                raise BindError(message)
            layer = Layer("linear", cin, op.classes, 1, 1, bias=True, op=at)
            return (layer,), op.classes, 1
        case Dropout():
            return (Layer("dropout", cin, cin, size, size, rate=op.rate, op=at),), cin, size
        case Shuffle():
            groups = evaluate_size(op.groups, scope.env)
            _check_groups("a shuffle", groups, op.groups, cin, "come in")
            moved = Layer("shuffle", cin, cin, size, size, groups=groups, op=at)
            return () if groups in (1, cin) else (moved,), cin, size


def _output(window: Window, size: Size) -> Size:
    try:
        return window.output(size)
    except ValueError as error:
        raise BindError(str(error)) from None


def _groups(op: Conv, scope: _Scope, cin: int, cout: int) -> int:
    """How many groups a convolution has. Raises `SaidError`."""
    groups = evaluate_size(op.groups, scope.env)
    if groups > 1:
        _check_groups("a convolution", groups, op.groups, cin, "come in")
        _check_groups("a convolution", groups, op.groups, cout, "go out")
    return groups


def _check_groups(what: str, groups: int, said: Expr, width: int, end: str) -> None:
    """Raise `GroupsError` unless groups divide a width."""
    if width // groups * groups != width:
        message = f"{what} of {groups} groups, which do not divide the {width} channels"
        raise GroupsError(f"{message} that {end}", said)


def _conv_layer(
    kind: Literal["conv", "dwconv"],
    op: Conv | DwConv,
    scope: _Scope,
    channels: tuple[int, int],
    sizes: tuple[Size, Size],
    window: Window,
    at: int,
    groups: int = 1,
) -> Layer:
    return Layer(
        kind,
        *channels,
        *sizes,
        kernel=window.kernel,
        stride=window.stride,
        act=scope.act(op.act),
        norm=op.norm and not op.reparam,
        bias=op.bias or op.reparam > 0,
        groups=groups,
        dilation=window.dilation,
        valid=op.valid,
        op=at,
        reparam=op.reparam,
        ones=getattr(op, "ones", False),
    )


def _bind_stack(
    op: DwConv, scope: _Scope, cin: int, size: Size, window: Window, at: int
) -> tuple[tuple[Bound, ...], int, Size]:
    """Its norm, bias and activation are those of the last layer, its stride that of the first."""
    kernel = window.kernel
    if isinstance(kernel, Pair) or kernel < 3:
        raise BindError(f"a stack of 3x3 needs a square kernel of at least 3, not {kernel}")
    stack: list[Layer] = []
    plain = op.model_copy(update={"act": None, "norm": False, "bias": False})
    count = (kernel - 1) // 2
    for i in range(count):
        part = window._replace(kernel=3, stride=window.stride if i == 0 else 1)
        out = _output(part, size)
        said = op if i == count - 1 else plain
        layer = _conv_layer("dwconv", said, scope, (cin, cin), (size, out), part, at)
        stack.append(replace(layer, part=i))
        size = out
    return tuple(stack), cin, size


def _bind_shortcut(
    op: Shortcut,
    scope: _Scope,
    main: tuple[Bound, ...],
    start: tuple[int, Size],
    end: tuple[int, Size],
    at: int,
) -> tuple[Bound, ...]:
    shortcut: tuple[Bound, ...] = ()
    (cin, size), (cout, out_size) = start, end
    act = scope.act(op.act)
    if op.kind == "identity":
        if start != end:
            after = Layer("act", cout, cout, out_size, out_size, act=act, op=at)
            return (*main, after) if act else main
    else:
        shortcut, width, height = _bind_ops(op.body, scope, cin, size, at + 1)
        if (width, height) != end:
            raise ShortcutError(
                f"the shortcut ends at {width} channels of {as_map(height)}, "
                f"the main path at {cout} of {as_map(out_size)}",
                width=width != cout,
            )
    add = Layer("add", cout, cout, out_size, out_size, act=act, op=at)
    return (Residual(main, shortcut, add),)


def _bind_join(
    op: Join, scope: _Scope, cin: int, size: Size, at: int
) -> tuple[tuple[Bound, ...], int, Size]:
    found: list[tuple[tuple[Bound, ...], int, Size]] = []
    parts, inside = len(op.branches) if op.split else 1, at + 1
    if (part := cin // parts) * parts != cin:
        raise BranchError(f"a split in {parts} parts, which do not divide the {cin} channels")
    for ops in op.branches:
        found.append(_bind_ops(ops, scope, part, size, inside))
        inside += sum(map(count, ops))
    paths, ends = [path for path, *_ in found], [(width, out) for _, width, out in found]
    if wrong := joins.mismatch(op.op, ends):
        raise BranchError(wrong)
    paths = joins.split(paths, cin, part, size, at) if op.split else paths
    width, out = joins.width(op.op, ends), ends[0][1]
    return joins.joined(op.op, paths, width, out, scope.act(op.act), at), width, out


def output_size(site: Site) -> Size:
    """The size of the block's output in pixels. Raises `BindError`."""
    return last_layer(bound[-1]).out_size if (bound := site.bind()) else site.size


def site_of(
    stage: Stage, choice: BlockChoice, block: SubnetBlock, cin: int, size: Size, first: bool
) -> Site:
    """The site of a subnet's block, of its stage's `first` or not; settings that mean nothing there
    are at their least."""
    stride, settings = stage.stride if first else 1, canonical_settings(choice, block)
    return Site(choice, cin, stage.width(cin, block.width, settings), size, stride, settings)


def subnet_sites(subnet: Subnet) -> tuple[tuple[Site, ...], ...]:
    """Every block of a subnet in its place, stage by stage. Raises `BindError`."""
    stages: list[tuple[Site, ...]] = []
    cin, size = subnet.of.channels, subnet.resolution
    for position, stage in enumerate(subnet.stages):
        declared = subnet.of.stages[position]
        choice = subnet.choice(position)
        sites: list[Site] = []
        for i, block in enumerate(stage.blocks):
            site = site_of(declared, choice, block, cin, size, i == 0)
            size, cin = output_size(site), site.end
            sites.append(site)
        stages.append(tuple(sites))
    return tuple(stages)
