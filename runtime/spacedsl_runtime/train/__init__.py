"""Training of supernets: recipe, batches, loop, checkpoints, run directories."""
