"""Pure passes over the IR: binding, cost, kernels."""
