"""Records of what networks are made of."""
