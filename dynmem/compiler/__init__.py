"""A traced rule as machine code: LLVM for the rule, numba for the loops around it."""
