"""Linear recurrences over whole sequences, compiled, on numpy arrays and torch tensors.

They are to state-space models what torch's fused kernels are to the LSTM: a model has its rule, its
``run`` calls a scan, and a test compares the two. Gradients go backward in time, by the adjoint
recurrence.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
