"""Linear recurrences over whole sequences, compiled, on numpy arrays and torch tensors.

They are to state-space models what torch's fused kernels are to the LSTM: a model has its rule, its
``run`` calls a scan, and a test compares the two. Gradients go backward in time, by the adjoint
recurrence.
"""

from ..runtime.lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(__name__, __file__)
