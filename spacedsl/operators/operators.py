"""The operators: a record each.

Language, editors, reference, errors, costs, latency kernels, INT8 graphs and files read this table.
What an operator's fields are is said in `ir/block.py`, which layers it makes in `passes/bind.py`,
and what PyTorch makes of it in `spacedsl_runtime/elastic/modules.py`."""

from __future__ import annotations

from spacedsl.operators.layer import Layer
from spacedsl.operators.operator import Flag, Operator, Weights
from spacedsl.operators.size import area

MAX_CLASSES = 1_000_000

MAX_BLOCK = 8
"""Of space-to-depth: so many pixels in a row become one."""

MAX_REPARAM = 16
"""As how many convolutions of its own kernel one can be trained."""


def _convolution(layer: Layer) -> Weights:
    others = (2 * layer.norm + layer.bias) * layer.cout
    products = layer.fan_in * layer.cout * area(layer.kernel)
    return Weights(products, others, area(layer.out_size))


def _squeeze(layer: Layer) -> Weights:
    return Weights(2 * layer.cin * layer.squeeze, layer.squeeze + layer.cin, convolutions=2)


def _classifier(layer: Layer) -> Weights:
    return Weights(layer.cin * layer.cout, layer.cout)


FLAGS: dict[str, Flag] = {
    "strided": Flag(
        field="stride",
        value="stage",
        meaning="takes the stage's stride, in the first block; of several in `optional` the first "
        "that is there does (`s2`: a stride of its own)",
        hover="This op takes the stride of the stage, in the first block.",
        synonyms=("downsample", "stride", "strides", "stride2", "s"),
    ),
    "nonorm": Flag(
        field="norm",
        value=False,
        meaning="without batch norm",
        hover="Without batch norm.",
        synonyms=("nobn", "nobatchnorm", "withoutbn", "withoutnorm", "nobatchnormalization"),
    ),
    "bias": Flag(
        field="bias",
        meaning="with a bias",
        hover="With a bias.",
        synonyms=("withbias", "usebias"),
    ),
    "elide": Flag(
        field="elide",
        meaning="left out where it would keep width and size",
        hover="Left out where it would keep both width and size.",
        synonyms=("skipifsame",),
    ),
    "stacked": Flag(
        field="stacked",
        meaning="k x k as (k - 1) / 2 of 3 x 3, norm and activation after the last",
        hover="k x k as (k - 1) / 2 depthwise convolutions 3 x 3.",
    ),
    "groups": Flag(
        field="groups",
        takes="COUNT",
        meaning="the channels in so many groups, each filter reads those of its own: a number, a "
        "parameter (one that is chosen, too) or an expression such as `cin / 16`, which divides "
        "both widths",
        hover="The channels in so many groups, each filter reads those of its own: `groups 8`, "
        "`groups cin / 16`.",
        synonyms=("group", "ngroups", "numgroups", "grouped", "cardinality"),
    ),
    "dilation": Flag(
        field="dilation",
        takes="STEP",
        meaning="how many pixels apart the taps of the window are: a number, a pair such as `4x1` "
        "or a parameter that holds one",
        hover="How many pixels apart the taps of the window are: `dilation 2`, `dilation 4x1`.",
        synonyms=("dilate", "dilated", "dilationrate", "atrous"),
    ),
    "valid": Flag(
        field="valid",
        meaning="without padding: the window never leaves the map, which gets smaller",
        hover="Without padding: the window never leaves the map. A patch of 4 x 4 is "
        "`conv 4x4 valid s4`.",
        synonyms=("nopad", "nopadding", "unpadded", "validpadding"),
    ),
    "reparam": Flag(
        field="reparam",
        takes="COUNT",
        most=MAX_REPARAM,
        meaning="trained as the sum of so many convolutions of this kernel, one of 1x1 where it is "
        "larger, and the input itself where width and size are kept, each with a batch norm; "
        "deployed as one convolution with a bias (RepVGG: `reparam 1`)",
        hover="Trained as a sum of so many convolutions, each with a batch norm, and deployed as "
        "one with a bias: `reparam 1` is RepVGG's block, `reparam 4` MobileOne-S0's. Costs are "
        "those of the one.",
        synonyms=(
            *("rep", "repvgg", "reparameterize", "reparameterized", "reparametrized"),
            *("numconvbranches", "convbranches", "overparam", "mobileone"),
        ),
    ),
    "ones": Flag(
        field="ones",
        meaning="of a `dwconv 1x1`: its weights are 1 and are not trained, so that it is a batch "
        "norm alone, such as one that stands before a convolution (DenseNet)",
        hover="The weights are 1 and are not trained: a batch norm alone, `dwconv 1x1 relu ones`.",
        synonyms=("normonly", "onlynorm", "prenorm", "preact", "preactivation", "prebn"),
    ),
    "split": Flag(
        field="split",
        meaning="each body reads its part of the channels, which are split in as many equal parts "
        "as there are bodies",
        hover="Each body reads its own equal part of the channels.",
        synonyms=("splitted",),
    ),
}
"""Word -> modifier. Activations and an op's own stride (`s2`) are modifiers too, and not here."""

OPERATORS: dict[str, Operator] = {
    "conv": Operator(
        form="conv KERNEL [-> WIDTH] [groups COUNT] [dilation STEP] [reparam COUNT]",
        meaning='Convolution, "same" padding, batch norm; to the stage\'s width (`cout`) where '
        "none is said.",
        hover="Convolution, with batch norm and same padding: `conv 3x3 -> width act`. Without "
        "`->` it goes to the stage's width.",
        example="conv 3x3 -> 32 relu",
        lacks="say the kernel first: `conv 1x1 -> 32 relu`",
        window=True,
        acts=1,
        flags=("strided", "nonorm", "bias", "elide", "groups", "dilation", "valid", "reparam"),
        synonyms=(
            *("conv2d", "convolution", "convolution2d", "convbn", "convbnrelu", "convbnact"),
        ),
        weights=_convolution,
        latency="conv-bn-relu",
        listed="slot kernel width groups stride dilation valid act norm bias elide reparam "
        "max_cin max_fan max_cout max_kernel",
        own_scale=True,
        mixes=True,
    ),
    "dwconv": Operator(
        form="dwconv KERNEL [dilation STEP] [reparam COUNT]",
        meaning="Depthwise convolution.",
        hover="Depthwise convolution: `dwconv kernel act`.",
        example="dwconv 3x3 relu",
        lacks="say the kernel first: `dwconv 3x3 relu`",
        window=True,
        acts=1,
        flags=(
            *("strided", "nonorm", "bias", "elide", "stacked", "dilation", "valid", "reparam"),
            "ones",
        ),
        synonyms=(
            *("depthwise", "depthwiseconv", "dwconv2d", "depthwiseconv2d", "dw", "dwise"),
            *("depthwiseconvolution", "convdw"),
        ),
        weights=_convolution,
        latency="dwconv-bn-relu",
        listed="slot kernel stride dilation valid act norm bias elide stacked reparam ones "
        "max_cin max_kernel",
        own_scale=True,
    ),
    "se": Operator(
        form="se WIDTH [ACT [GATE]]",
        meaning="Squeeze and excitation; relu and hsigmoid where none is said.",
        hover="Squeeze and excitation through this many channels.",
        example="se round8(cin / 4)",
        lacks="say the width it squeezes to: `se round8(cin / 4)`",
        acts=2,
        synonyms=(
            *("squeezeexcite", "squeezeexcitation", "seblock", "seblocks", "sqex"),
            *("squeezeandexcitation", "selayer", "semodule"),
        ),
        weights=_squeeze,
        in_place=True,
        listed="slot squeeze act gate max_cin max_squeeze",
    ),
    "maxpool": Operator(
        form="maxpool KERNEL",
        meaning='Maximum, "same" padding.',
        hover="Max pooling.",
        example="maxpool 3x3",
        lacks="say the window: `maxpool 3x3`",
        window=True,
        flags=("strided", "elide", "valid"),
        synonyms=("maxpool2d", "maxpooling", "maxpooling2d"),
        latency="maxpool",
        listed="slot kernel stride valid elide",
        shares=True,
        onnx="MaxPool",
    ),
    "avgpool": Operator(
        form="avgpool KERNEL",
        meaning="Average, padding not counted.",
        hover="Average pooling.",
        example="avgpool 2x2",
        lacks="say the window: `avgpool 2x2`; a `pool` goes over the whole map",
        window=True,
        flags=("strided", "elide", "valid"),
        synonyms=("avgpool2d", "averagepool", "averagepooling", "averagepooling2d"),
        latency="avgpool",
        listed="slot kernel stride valid elide",
        own_scale=True,
        onnx="AveragePool",
    ),
    "space-to-depth": Operator(
        form="space-to-depth BLOCK",
        meaning="Every BLOCK x BLOCK pixels become one, with the channels of all of them.",
        hover="Every 2 x 2 pixels (or more) become one, with the channels of all of them: "
        "`space-to-depth 2`.",
        example="space-to-depth 2",
        lacks="say the block: `space-to-depth 2`",
        synonyms=("spacetodepth", "s2d", "pixelunshuffle", "focus", "patchmerging"),
        latency="space-to-depth",
        listed="slot block",
        shares=True,
        mixes=True,
        onnx="SpaceToDepth",
    ),
    "pool": Operator(
        form="pool",
        meaning="Global average, to 1 x 1.",
        hover="Global average pooling to 1 x 1.",
        example="pool",
        synonyms=(
            *("gap", "globalavgpool", "globalpool", "globalaveragepool", "globalaveragepooling"),
            *("globalavgpool2d", "globalaveragepooling2d", "adaptiveaveragepool2d"),
            *("adaptiveavgpool2d", "adaptiveavgpool"),
        ),
        latency="global-avgpool",
        listed="slot",
        own_scale=True,
        onnx="GlobalAveragePool",
    ),
    "linear": Operator(
        form="linear -> CLASSES",
        meaning=f"The classifier; up to {MAX_CLASSES:,}. Classes stand outside the hash.",
        hover="The classifier: `linear -> classes`.",
        example="linear -> 1000",
        synonyms=("fc", "dense", "fullyconnected", "classifier", "gemm", "logits"),
        weights=_classifier,
        latency="fc",
        listed="slot max_cin",
        own_scale=True,
        mixes=True,
    ),
    "dropout": Operator(
        form="dropout RATE",
        meaning="From 0 to below 1; in training only.",
        hover="Dropout with this rate, in training.",
        example="dropout 0.2",
        lacks="say the rate: `dropout 0.2`",
        synonyms=("dropout2d", "drop", "droprate", "dropoutrate"),
        in_place=True,
        listed="rate",
        shares=True,
    ),
    "shortcut": Operator(
        form="shortcut KIND [ACT]",
        meaning="Adds the body's input to its output; ends the body.",
        hover="Adds the body's input to its output: `none`, `identity`, `projected` (a conv 1x1 "
        "where width or size change) or a body of its own. It ends its body.",
        example="shortcut identity",
        lacks="say which: `shortcut projected`, or `shortcut identity` where sizes are kept",
        acts=1,
        synonyms=("add", "residual", "skip", "skipconnection", "skipconnect", "identityskip"),
        listed="slot kind body act",
    ),
    "optional": Operator(
        form="optional PARAMETER { ops } [else { ops }]",
        meaning="There where the parameter is 1, not where it is 0. Ops behind `else` are there "
        "where it is 0.",
        hover="Ops that are there where a parameter is 1 and left out where it is 0. Those behind "
        "`else` are there where it is 0.",
        listed="param when body",
    ),
    "concat": Operator(
        form="concat [split] { ops } { ops } ... [ACT]",
        meaning="Bodies side by side on one input, their channels put one behind the other; `{ }` "
        "is the input itself.",
        hover="Bodies side by side, their channels put one behind the other: "
        "`concat { } { conv 3x3 -> 32 relu }`. `{ }` is the input itself; with `split` each body "
        "reads its part of the channels.",
        example="concat { } { conv 3x3 -> 32 relu }",
        lacks="say the bodies: `concat { } { conv 3x3 -> 32 relu }`",
        acts=1,
        flags=("split",),
        synonyms=(
            *("cat", "concatenate", "concatenation", "branch", "branches", "parallel", "route"),
            *("concatlayer", "filterconcat"),
        ),
        latency="concat",
        listed="slot split branches act",
        mixes=True,
        onnx="Concat",
    ),
    "sum": Operator(
        form="sum { ops } { ops } ... [ACT]",
        meaning="Bodies side by side on one input, added; `{ }` is the input itself. Unlike a "
        "shortcut it need not end its body.",
        hover="Bodies side by side, added: `sum { } { conv 3x3 relu }`. `{ }` is the input itself.",
        example="sum { } { conv 3x3 relu }",
        lacks="say the bodies: `sum { } { conv 3x3 relu }`",
        acts=1,
        synonyms=("addn", "plus", "elementwisesum", "eltwise"),
        listed="slot branches act",
    ),
    "shuffle": Operator(
        form="shuffle GROUPS",
        meaning="The channels in another order: the first of each of so many groups, then the "
        "second of each, and so on.",
        hover="Channel shuffle: the first channel of each group, then the second of each: "
        "`shuffle 2`.",
        example="shuffle 2",
        lacks="say in how many groups the channels are: `shuffle 2`",
        synonyms=("channelshuffle", "shufflechannels", "shufflechannel"),
        latency="channel-shuffle",
        listed="slot groups",
        shares=True,
        onnx="Gather",
    ),
    "lateral": Operator(listed="slot width max_cin"),
    "pyramid": Operator(listed="slot width steps"),
    "input": Operator(mixes=True),
    "slice": Operator(latency="split", shares=True, mixes=True, onnx="Slice"),
    "upsample": Operator(latency="upsample", shares=True, onnx="Resize"),
    "add": Operator(in_place=True, own_scale=True, onnx="Add"),
    "mul": Operator(own_scale=True, onnx="Mul"),
    "shift": Operator(own_scale=True),
    "act": Operator(in_place=True),
}
"""Word -> operator."""

IN_BODIES = {word: op for word, op in OPERATORS.items() if op.form}
"""The operators that a page can say."""

STRIDED = tuple(word for word, op in IN_BODIES.items() if "strided" in op.flags)
"""The operators that can take a stride."""


def words_where(**facts: bool) -> frozenset[str]:
    """The operators whose records have these fields: with True one that is set, with False one
    that is empty."""
    return frozenset(
        word
        for word, op in OPERATORS.items()
        if all(bool(getattr(op, name)) == value for name, value in facts.items())
    )
