"""What we train: recurrent networks as systems."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "cell": ["Cell"],
        "rnn": ["Linear", "Orthogonal", "Relu", "Tanh"],
        "gated": ["GRU", "LSTM"],
        "convolution": ["Convolution", "ConvolutionBlock"],
        "residual": ["Activation", "Block", "Dense", "FeedForward", "Norm"],
        "network": ["Network", "get", "names"],
        "from_torch": ["from_torch"],
    },
)
