"""What can be wrong with what the runtime is given: one class per mistake, one sentence each."""

from __future__ import annotations

import re

HASH = re.compile(r"[0-9a-f]{64}")


def shown(value: object) -> str:
    """A value in a message: of a hash its first 16 digits, which tell it from any other."""
    text = str(value)
    return text[:16] if HASH.fullmatch(text) else text


class SpacedslError(ValueError):
    """Base of every error that the runtime raises on purpose. `code` is stable; `help` says what to
    do where the message does not."""

    code = "runtime"

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.help = help


class PlanError(SpacedslError):
    """A plan that is missing, damaged, or of another format, version or kind."""

    code = "bad-plan"


class SubnetError(SpacedslError):
    """A subnet that is not one of the supernet's."""

    code = "bad-subnet"


class CheckpointError(SpacedslError):
    """A checkpoint that is missing, damaged, or of another space."""

    code = "bad-checkpoint"


class DataError(SpacedslError):
    """Data that are missing, damaged, or do not fit."""

    code = "bad-data"


class RecipeError(SpacedslError):
    """Settings of a training that make no sense."""

    code = "bad-option"


class RunError(SpacedslError):
    """A run directory that cannot be begun, gone on with, or written."""

    code = "bad-run"


class DivergedError(SpacedslError):
    """A loss that is not a number any more."""

    code = "diverged"


class TeacherError(SpacedslError):
    """A teacher that is missing or does not fit the space."""

    code = "bad-teacher"


class ForeignError(SpacedslError):
    """A network of others that cannot be read, or that the language cannot say."""

    code = "bad-import"


class DeployError(SpacedslError):
    """A subnet and an INT8 plan that do not belong together, or numbers that fit no artifact."""

    code = "bad-deployment"
