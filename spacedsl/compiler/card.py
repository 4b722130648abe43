"""A model card: what an exported file is, for people who find it, and how an app runs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from spacedsl.compiler.graph import LOGITS
from spacedsl.compiler.stamp import described
from spacedsl.compiler.tflite_task import STAMP

ONNX = """\
import json
import numpy as np, onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("{file}")
stamp = session.get_modelmeta().custom_metadata_map
how, labels = (json.loads(stamp["spacedsl." + key]) for key in ("preprocess", "labels"))
_, _, height, width = json.loads(stamp["spacedsl.input"])["shape"]
{photo}
"""

ONNX_CLASS = """\
(logits,) = session.run(None, {"image": image.transpose(2, 0, 1)[None]})
best = int(logits[0].argmax())
print(labels[best] if labels else best)
"""

ONNX_MAPS = """\
maps = session.run(None, {"image": image.transpose(2, 0, 1)[None]})
for output, value in zip(session.get_outputs(), maps):  # what your head takes
    print(output.name, value.shape)
"""

TFLITE = f"""\
import json, zipfile
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

stamp = json.loads(zipfile.ZipFile("{{file}}").read("{STAMP}"))
how, labels = (json.loads(stamp[key]) for key in ("preprocess", "labels"))
_, height, width, _ = json.loads(stamp["input"])["shape"]
{{photo}}
interpreter = Interpreter("{{file}}")
interpreter.allocate_tensors()
"""

TFLITE_CLASS = """\
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
interpreter.invoke()
best = int(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].argmax())
print(labels[best] if labels else best)
"""

TFLITE_MAPS = """\
for name, value in interpreter.get_signature_runner()(image=image[None]).items():
    print(name, value.shape)  # what your head takes
"""

PHOTO = """\
photo = Image.open("photo.jpg").convert("{mode}")
fit = min(photo.width / width, photo.height / height) * how.get("crop", 0.875)
across, down = fit * width, fit * height  # the centre, as in training
left, top = (photo.width - across) / 2, (photo.height - down) / 2
photo = photo.resize((width, height), Image.BILINEAR, (left, top, left + across, top + down))
pixels = np.asarray(photo, np.float32).reshape(height, width, -1) / 255
image = ((pixels - how["mean"]) / how["std"]).astype(np.float32)
"""


class App(NamedTuple):
    """Python that opens a file and makes a photo its input as the stamp says, what follows where
    the file gives logits and where it gives maps, and the runtime's package."""

    opens: str
    logits: str
    maps: str
    package: str


APPS = {
    "onnx": App(ONNX, ONNX_CLASS, ONNX_MAPS, "onnxruntime"),
    "tflite": App(TFLITE, TFLITE_CLASS, TFLITE_MAPS, "ai-edge-litert"),
}


SHOWN = 20
"""Names of classes that a card lists; the file holds all."""


def app(format: str, file: str, channels: int, *, maps: bool = False) -> str:
    """Python that runs a file of `export` on a photo: it says the class, or the shapes of `maps`.
    It needs the runtime's package, NumPy and Pillow, and nothing of ours."""
    found = APPS[format]
    photo = PHOTO.format(mode="RGB" if channels == 3 else "L").rstrip()
    return found.opens.format(file=file, photo=photo) + (found.maps if maps else found.logits)


def card(format: str, file: Path, known: Mapping[str, str], size: int) -> str:
    """The card of an exported file of `size` bytes with this metadata (without its prefix), in
    Markdown with the front matter that Hugging Face reads."""
    how, labels = json.loads(known["preprocess"]), json.loads(known["labels"])
    shape = json.loads(known["input"])["shape"]
    more = f" and {len(labels) - SHOWN:,} more" if len(labels) > SHOWN else ""
    classes = ", ".join(labels[:SHOWN]) + more if labels else "not named in the file"
    untrained = (
        "\nIts weights are random: it is good for measuring speed and size, not for predictions.\n"
        if "untrained" in known["weights"]
        else ""
    )
    outputs = json.loads(known["outputs"])
    maps = outputs[0]["name"] != LOGITS
    task = "image-feature-extraction" if maps else "image-classification"
    rows = [(o["name"], f"float32 {o['shape']}") for o in outputs] if maps else []
    given = "".join(f"| {name} | {value} |\n" for name, value in rows or [("classes", classes)])
    return f"""---
library_name: {format}
pipeline_tag: {task}
tags: [spacedsl, {known["precision"]}, {format}]
---

# {known["model"]}

{described(known)}
{untrained}
| | |
|---|---|
| file | `{file.name}`, {size / 1e6:.1f} MB |
| model | hash `{known["hash"]}` |
| space | {known["space"]}, hash `{known["space_hash"]}` |
| input | float32 {shape}, {how["colour"]}; pixels / 255, minus {how["mean"]}, over {how["std"]} |
{given}| made by | spacedsl {known["version"]} |

## Run it

`pip install {APPS[format].package} numpy pillow`, then

```python
{app(format, file.name, len(how["mean"]), maps=maps)}```

## The network

```
{known["page"].rstrip()}
```
"""
