"""What `torch.hub` finds here: a file of `spacedsl export` as a function of an image.

    import torch
    classify = torch.hub.load("OWNER/spacedsl", "deployed", "models/shapes-2ms.onnx")
    classify("photo.jpg")  # [("circle", 0.97), ...]: names and probabilities, the likeliest first

A deployed file needs its runtime (the extra `cpu` or `tflite`) and Pillow, and no training code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from spacedsl.operators.size import pair
from spacedsl.targets.deployed import open_deployed

dependencies = ["numpy", "PIL", "pydantic", "lark"]

Classify = Callable[[Path | str | Image.Image], list[tuple[str, float]]]


def deployed(file: Path | str, threads: int = 1, runtime: str | None = None) -> Classify:
    """The network in an ONNX or TFLite file, preprocessing and names of classes included."""
    net = open_deployed(Path(file), threads, runtime)
    how = net.preprocess
    names = net.labels or None
    height, width = pair(net.size)
    share = 0.875 if how.crop is None else how.crop

    def classify(image: Path | str | Image.Image) -> list[tuple[str, float]]:
        photo = image if isinstance(image, Image.Image) else Image.open(image)
        photo = photo.convert("RGB" if net.channels == 3 else "L")
        fit = min(photo.width / width, photo.height / height) * share
        across, down = fit * width, fit * height
        left, top = (photo.width - across) / 2, (photo.height - down) / 2
        box = (left, top, left + across, top + down)
        photo = photo.resize((width, height), Image.Resampling.BILINEAR, box)
        pixels = np.asarray(photo, np.float32).reshape(height, width, -1) / 255
        seen = ((pixels - how.mean) / how.std).astype(np.float32)
        logits = net.run(seen.transpose(2, 0, 1)[None])[0]
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")
        return [(names[i] if names else str(i), float(shares[i])) for i in order]

    return classify
