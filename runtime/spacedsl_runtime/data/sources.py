"""Data by name: the sources of the runtime, and those that installed packages register.

An installed package registers a `DataSource` by an entry point of the group `spacedsl.data`, whose
name is the source's. Imports no torch."""

from __future__ import annotations

import importlib.util
import os
from functools import cache

from spacedsl.registered import registered
from spacedsl_runtime.data.arrays import ARRAYS
from spacedsl_runtime.data.digits import DIGITS
from spacedsl_runtime.data.fashion_mnist import FASHION_MNIST
from spacedsl_runtime.data.folders import shown
from spacedsl_runtime.data.imagefolder import IMAGEFOLDER, PHOTOS
from spacedsl_runtime.data.shards import WEBDATASET
from spacedsl_runtime.data.source import DataSource
from spacedsl_runtime.data.split import Data
from spacedsl_runtime.errors import DataError

GROUP = "spacedsl.data"

BUILT_IN = {s.name: s for s in (DIGITS, FASHION_MNIST, ARRAYS, IMAGEFOLDER, PHOTOS, WEBDATASET)}


def sources() -> dict[str, DataSource]:
    """All there are by name, the built-in ones first. Raises `DataError` where a package's cannot
    be loaded."""
    return BUILT_IN | _registered()


@cache
def _registered() -> dict[str, DataSource]:
    """Those of installed packages."""
    return registered(GROUP, DataSource, BUILT_IN, ("the data", "no source"), DataError)


def usages(*, labelled: bool = False) -> str:
    """How data are named, for help texts; `labelled`: only those with classes."""
    chosen = (s for s in sources().values() if s.defaults or not labelled)
    return ", ".join(source.usage for source in chosen)


def source_of(spec: str) -> DataSource:
    """The source that `spec` names. Raises `DataError`."""
    name, _, where = spec.partition(":")
    found = BUILT_IN.get(name) or sources().get(name)
    if found is None or not found.fits(where):
        raise DataError(f"unknown data `{shown(spec)}`", f"known: {usages()}")
    return found


def open_data(spec: str, decoder: str | None = None) -> Data:
    """The data that `spec` names; `decoder`: of JPEG files, else the fastest that is installed.
    Shells leave the `~` of `imagefolder:~/images` to us. Raises `DataError`."""
    if importlib.util.find_spec("PIL") is None:
        raise DataError("data need the package Pillow", "pip install 'spacedsl[images]'")
    where = os.path.expanduser(spec.partition(":")[2])
    return source_of(spec).open(spec, where, decoder)
