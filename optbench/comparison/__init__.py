"""Comparison of two versions of optimizers: the maths, the convergence, the cost."""
