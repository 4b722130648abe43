"""Networks that others wrote in PyTorch, read into pages and checkpoints."""
