"""The version of spacedsl, which artifacts are stamped with."""

__version__ = "0.1.0"
