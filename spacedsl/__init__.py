"""Search spaces for INT8 networks as pages of text."""
