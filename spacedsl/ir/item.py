"""What a page defines under a name."""

from spacedsl.ir.block import Block
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target

Item = Block | Space | Subnet | Target
