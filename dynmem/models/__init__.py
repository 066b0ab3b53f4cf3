"""What we train: sequence models as systems."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["hippo"],
    submod_attrs={
        "cell": ["Cell"],
        "rnn": ["Linear", "Orthogonal", "Relu", "Tanh"],
        "gated": ["GRU", "LSTM"],
        "ssm": ["S4D"],
        "s4": ["S4"],
        "lmu": ["LMU"],
        "diagonal": ["LRU", "S5"],
        "selective": ["Selective"],
        "mamba": ["Mamba"],
        "linear_attention": ["LinearAttention"],
        "oscillators": ["CoRNN", "CoupledOscillators"],
        "attention": ["Attention"],
        "hybrid": ["Hybrid"],
        "convolution": ["Convolution", "ConvolutionBlock"],
        "residual": ["Activation", "Block", "Dense", "FeedForward", "Norm"],
        "esn": ["ESN"],
        "network": ["Network", "get", "names", "about", "resampled"],
        "conversion": ["from_torch"],
    },
)
