"""LSQ+ (Bhalgat et al., 2020): learned scales and offsets, as pure functions."""
