"""What settings are worth by a few valued subnets: the predictor of a search for subnets."""

from __future__ import annotations

from collections.abc import Mapping

from spacedsl.ir.subnet import Subnet
from spacedsl.tables.accuracy import FittedAccuracy
from spacedsl.tables.fit_accuracy import fit_accuracy
from spacedsl.tables.networks import Network, percent_of


def fit_values(values: Mapping[Subnet, float], images: int) -> FittedAccuracy:
    """A model of the accuracies (shares of `images`) of subnets of one space. Raises `SpaceError`
    where there are too few."""
    networks = [
        Network(i, subnet, percent_of(value, images))
        for i, (subnet, value) in enumerate(values.items(), 1)
    ]
    return FittedAccuracy(fit_accuracy(networks, networks[0].subnet.of))
