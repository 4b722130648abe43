"""One sentence on every word of the language, for hovers and completions."""

from __future__ import annotations

from spacedsl.diagnostics import one_of
from spacedsl.operators.operators import FLAGS, IN_BODIES
from spacedsl.runtimes.table import BUILT_IN

WORDS: dict[str, str] = {
    "language": "The version of the language the page is written in; the first statement.",
    "use": "Brings another page's blocks and spaces: a path beside this page, else in the library.",
    "block": "Defines a block type: parameters, and the ops that training, export, cost and "
    "latency are all derived from.",
    "hyperspace": "Defines all that a search may choose from: per elastic stage several block "
    "types and a list of widths with a window.",
    "space": "Defines a search space: one block type and one width window per elastic stage. "
    "What it does not say, it has from what it is `of`.",
    "model": "Defines one network of a space.",
    "target": "Defines a device: its latency tables and limits.",
    "of": "What this is a member of; checked.",
    "at": "The resolution of a model, in pixels.",
    "input": "Channels and resolutions: `3 x 160..224 step 16`.",
    "x": "Between channels and resolutions, and the sides of a kernel.",
    "quality": "The quality table that scores blocks, unless a command names another.",
    "limit": "The most that a network of a space may cost: `limit flops 6G, memory 1M`.",
    "taps": "The maps that are the outputs, in place of a head: `taps stride 8, 16, 32`. Of each "
    "stride it is the last map.",
    "pyramid": "A feature pyramid of this width over the taps: `taps stride 8, 16, 32 pyramid 64`. "
    "Each level adds the next coarser one, upsampled; the outputs all have this width.",
    "blocks": "The block types that every elastic stage may choose from.",
    "elastic": "A stage whose block type and width window a search chooses.",
    "width": "Output channels that the blocks of the stage may have.",
    "window": "How many neighbouring widths of the list a space may use in this stage. The search "
    "chooses one such window; the subnets of a space take their widths from it.",
    "depth": "How many blocks the stage may have.",
    "stride": "The stride of the stage; its first block takes it, at the op that is `strided`.",
    "shared": "What all blocks of a subnet's stage have in common: `width`, or parameters.",
    "step": "The distance of a range's values. The range has to hit its end.",
    **{word: op.hover for word, op in IN_BODIES.items()},
    "else": "The ops that are there where the parameter of `optional` is 0.",
    **{word: flag.hover for word, flag in FLAGS.items() if flag.takes},
    "round8": "Rounds to a multiple of 8, at least 8, never below 90 % of the value.",
    "runtime": f"What runs the networks, {one_of(list(BUILT_IN))}, and the versions that will do.",
    "threads": "How many threads the runtime has.",
    "types": "Data types: u8s8 is uint8 activations and int8 weights.",
    "rules": "Which of the runtime's optional rewrites apply; all where it is not said.",
    "anchor": "A model and its latency where the limits are from: limits are scaled by it.",
    "device": "The device, and the runtime that its rules are of.",
    "latency": "The latency table of the device.",
    "limits": "Latency limits that a search scores for: `8ms, 10ms`.",
    "reference": "The published space of this device.",
}

SIZES = {
    "cin": "The channels that come into the block.",
    "cout": "The channels that leave the block: the width of the stage.",
}

MODIFIERS = {word: flag.hover for word, flag in FLAGS.items() if not flag.takes}

SHORTCUTS = {
    "none": "No shortcut.",
    "identity": "The input itself, where width and size are kept.",
    "projected": "The input, through a conv 1x1 where width or size change.",
}
