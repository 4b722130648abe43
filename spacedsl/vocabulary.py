"""The field's other words for what the language says, and words for what it does not say.

A misspelt word is judged by its letters only if it is none of these: `gelu` is one letter from
`relu` and another function."""

from __future__ import annotations

import re
from functools import cache

from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.operators import FLAGS, OPERATORS

_SAME = """
width: channels filters outchannels planes outplanes ch units features outputchannels nfilters
depth: layers numlayers nlayers numblocks nblocks repeat repeats reps n repetitions num
stride: strides subsample downsampling
window: windows windowsize
input: resolution imagesize inputsize img image imgsize inputshape inputresolution res resolutions
limit: constraint constraints budget max atmost
quality: accuracy qualitytable accuracytable table lossestable
blocks: blocktypes ops candidates blockchoices operators choices choice types blocktype candidate
kernel: kernelsize ks k kernels filtersize kernelsizes
expand: expansion expansions expandratios expandratio expansionratio t expandfactor er e mult
expand: multiplier
act: activation actlayer actfn nonlinearity activations
flops: macs madds multadds flop multiplyadds mult-adds fmas
params: parameters param weights numparams nparams modelsize size
memory: mem ram memoryusage peakmemory sram activationmemory
identity: id same
projected: projection proj conv1x1 project
cin: inchannels inc inplanes inp channelsin inputchannels inchs infeatures inwidth
cout: outchannels outc oup outplanes channelsout outputchannels outchs outfeatures outwidth
fused: fusedmbconv fusedmb fusedib fusedmbv
mbv2: invertedresidual ib mobilenetv2 invertedbottleneck
mbv3: mobilenetv3
model: network net architecture arch subnet
space: subspace
target: device deployment
hyperspace: searchspace hyper supernet supernetwork superspace
block: cell module def function fn func fun class
use: import include require using
language: lang version
reference: ref
device: hardware platform machine name
runtime: backend engine framework
threads: numthreads nthreads cores numcores cpus ncpus
types: dtype dtypes precision quantization quantisation datatypes datatype
limits: deadlines deadline budgets latencies limitsms latencylimits latencylimit maxlatency
elastic: variable searchable dynamic
step: by increment
pyramid: fpn featurepyramid featurepyramidnetwork neck
"""

_NO_ACTIVATION = """elu selu celu tanh softplus glu quickgelu geluapprox rrelu softsign
hardmish swiglu geglu relu2 squaredrelu"""
_SLOPES = "prelu parametricrelu"
_GROUPED = "gconv groupconv groupedconv groupconv2d groupedconvolution"
_SUMS = "repconv repblock repvggblock mobileoneblock"
_SPLITS = "split chunk slice tsplit unbind"
_NO_OP = """upsample interpolate deconv transposeconv convtranspose
convtranspose2d
reshape permute lstm gru rnn embedding mlp
droppath stochasticdepth shift sepconv separableconv separableconv2d xception conv1d
conv3d convtranspose3d eca ecalayer cbam coordattention coordatt deformconv deformableconv
pixelshuffle ghostmodule upsampling upsampling2d"""
_ATTENTION = """attention mhsa selfattention transformer multiheadattention mha
multiheadselfattention selfattn attn crossattention vit"""
_SCALE = "layerscale ls gamma"
_SCORES = "softmax logsoftmax argmax softmax2d"
_NORMS = """bn batchnorm norm batchnorm2d batchnormalization normalization syncbn bn2d usebn withbn
withnorm"""
_MBCONV = "mbconv mb ir invres invertedres"
_NORMS_OF_IMAGES = "layernorm layernorm2d ln gn groupnorm instancenorm instancenorm2d rmsnorm grn"
_NOTHING = """none noact noactivation null nothing off nobias flatten noop passthrough same
samepadding act activation true yes on enabled padding pad"""
_NO_UNIT = "px p pixel pixels ch c channels x k cores threads layers classes units outputs"

SHORT = {"k": "kernel", "e": "expand"}
"""Settings written short: `k3` is kernel 3, `e0.5` is expand 0.5; others are `name=value`."""

STAGE_LETTERS = {
    "s": "stride",
    "d": "depth",
    "n": "depth",
    "r": "depth",
    "w": "width",
    "c": "width",
}
"""A stage's keys, as block strings write them: `s2`, `n3`, `c64`."""

_HERE = """strided nonorm bias elide stacked identity projected none flops params memory kernel
expand act cin cout"""


def bare(word: str) -> str:
    """A word without case and without signs in it."""
    return word.lower().replace("-", "").replace("_", "").replace(".", "")


@cache
def _synonyms() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    lines = (line.partition(":") for line in _SAME.strip().splitlines())
    said = [(here, others.split()) for here, _, others in lines]
    said += [(word, list(act.synonyms)) for word, act in ACTIVATIONS.items()]
    said += [(word, list(op.synonyms)) for word, op in OPERATORS.items()]
    said += [(word, list(flag.synonyms)) for word, flag in FLAGS.items()]
    for here, others in said:
        for other in others:
            key = bare(other)
            found[key] = (*found.get(key, ()), here)
    return found


def synonyms(word: str) -> tuple[str, ...]:
    """The language's words for what `word` says elsewhere."""
    return _synonyms().get(bare(word), ())


def has_meaning(word: str) -> bool:
    """Whether a word has a meaning of its own, here or elsewhere, so that it is no misspelling."""
    return (
        word in ACTIVATIONS
        or word in _HERE.split()
        or bare(word) in _synonyms()
        or advice(word) is not None
    )


def leaves_out(word: str) -> bool:
    """Whether what a word says elsewhere is said here by saying nothing."""
    return bare(word) in [*_NORMS.split(), *_SCALE.split(), *_SCORES.split(), *_NOTHING.split()]


def is_norm(word: str) -> bool:
    """Whether a word is the batch norm that a convolution has unless it says `nonorm`."""
    return bare(word) in _NORMS.split()


def is_unit_left_out(word: str) -> bool:
    """Whether a word is the unit elsewhere of what is a plain number here: sizes in pixels,
    channels, factors."""
    return word.lower() in _NO_UNIT.split()


def advice(word: str) -> str | None:
    """What is done here about a word that has no counterpart: what to write, or why it is not
    there."""
    return _advice().get(bare(word))


@cache
def _advice() -> dict[str, str]:
    return {word: said for words, said in reversed(_ADVICE) for word in words.split()}


COST = re.compile(r"([kmg]?)_?(flops|macs|params|parameters|memory|bytes)_?([kmg]?)b?")
"""A cost with the scale of its amount."""


def scaled_amount(cost: str, amount: str) -> str | None:
    """The cost and its amount, where its name holds the scale: `gflops 0.9` means `flops 0.9G`."""
    found = COST.fullmatch(cost.lower())
    scale = (found[1] or found[3]).upper() if found else ""
    if found is None or not scale or not amount.replace(".", "", 1).isdecimal():
        return None
    name = next(iter(synonyms(found[2])), "memory" if found[2] == "bytes" else found[2])
    return f"{name} {amount}{scale}"


def lacks(word: str) -> bool:
    """Whether the language has nothing for a word, so that all advice is a reason."""
    return advice(word) in _REASONS


_REASONS = (
    "runtimes have no integer kernel for a norm of each image, convolutions have batch norm",
    "the runtimes have no integer kernels for attention in common",
    "the language does not have this activation",
    "the language does not have this operator",
)
_ADVICE = (
    (_NORMS, "a convolution has batch norm unless it says `nonorm`: leave it out"),
    (_SCALE, "the batch norm of the convolution before it has such a scale: leave it out"),
    (_SCORES, "training and files take the scores of classes as `linear` gives them: leave it out"),
    (_NOTHING, "what is not written is not there: leave it out"),
    (_SLOPES, "runtimes have no integer kernel for slopes that are learned: write `leaky`"),
    (_MBCONV, "with squeeze and excitation it is `mbv3`, without it `mbv2`"),
    (_GROUPED, "say how many groups: `conv 3x3 groups 8`"),
    (_SUMS, "say it of the convolution that is deployed: `conv 3x3 relu reparam 1`"),
    (_SPLITS, "say it where the parts are joined again: `concat split { } { conv 3x3 }`"),
    *zip((_NORMS_OF_IMAGES, _ATTENTION, _NO_ACTIVATION, _NO_OP), _REASONS, strict=True),
)
"""Words -> what is done about them."""
