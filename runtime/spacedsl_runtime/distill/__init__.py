"""Block-wise distillation."""
