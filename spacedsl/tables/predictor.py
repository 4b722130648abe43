"""What settings are worth by a few valued subnets: the predictor of a search for subnets."""

from __future__ import annotations

from collections.abc import Mapping

from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.tables.accuracy import FittedAccuracy
from spacedsl.tables.designs import freedom
from spacedsl.tables.fit_accuracy import FOLDS, ROWS_PER_FREEDOM, fit_accuracy
from spacedsl.tables.networks import Network, percent


def fewest_rows(space: Space) -> int:
    """How many different subnets a fit takes."""
    return max(ROWS_PER_FREEDOM * freedom(space), 4 * FOLDS)


def fit_values(values: Mapping[Subnet, float], images: int) -> FittedAccuracy:
    """A model of the accuracies (shares of `images`) of subnets of one space. Raises `SpaceError`
    where there are too few."""
    networks = [
        Network(i, subnet, percent(value, images))
        for i, (subnet, value) in enumerate(values.items(), 1)
    ]
    return FittedAccuracy(fit_accuracy(networks, networks[0].subnet.of))
