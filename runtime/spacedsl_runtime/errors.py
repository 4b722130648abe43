"""What can be wrong with what the runtime is given: one class per mistake, one sentence each."""

from __future__ import annotations


class SpacedslError(ValueError):
    """Base of every error that the runtime raises on purpose."""


class PlanError(SpacedslError):
    """A plan that is missing, damaged, or of another format, version or kind."""


class SubnetError(SpacedslError):
    """A subnet that is not one of the supernet's."""


class CheckpointError(SpacedslError):
    """A checkpoint that is missing, damaged, or of another space."""


class DeployError(SpacedslError):
    """A subnet and an INT8 plan that do not belong together, or numbers that fit no artifact."""
