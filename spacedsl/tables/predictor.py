"""What settings are worth by a few valued subnets: the predictor of a search for subnets."""

from __future__ import annotations

from collections.abc import Mapping

from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.tables.accuracy import FittedAccuracy
from spacedsl.tables.designs import freedom
from spacedsl.tables.fit_accuracy import FOLDS, ROWS_PER_FREEDOM, fit_accuracy
from spacedsl.tables.networks import Network


def fewest_rows(space: Space) -> int:
    """How many different subnets a fit takes."""
    return max(ROWS_PER_FREEDOM * freedom(space), 4 * FOLDS)


def fit_values(values: Mapping[Subnet, float], images: int) -> FittedAccuracy:
    """A model of the accuracies (shares of `images`) of subnets of one space. One that got every
    image right counts as half an image worse, since the model knows no error of 0. Raises
    `SpaceError` where there are too few."""
    least, most = 0.5 / images, 1 - 0.5 / images
    networks = [
        Network(i, subnet, 100.0 * min(max(value, least), most))
        for i, (subnet, value) in enumerate(values.items(), 1)
    ]
    return FittedAccuracy(fit_accuracy(networks, networks[0].subnet.of))
