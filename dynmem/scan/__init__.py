"""Linear recurrences over whole sequences as machine code, forward and backward in time, on numpy
arrays and torch tensors.

They are to state-space models what torch's fused kernels are to the LSTM: a model writes its rule,
its ``run`` calls a scan, a test holds the one to the other."""

from ..runtime.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
