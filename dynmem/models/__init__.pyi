from . import hippo as hippo
from .attention import Attention as Attention
from .cell import Cell as Cell
from .conversion import from_torch as from_torch
from .convolution import Convolution as Convolution, ConvolutionBlock as ConvolutionBlock
from .diagonal import LRU as LRU, S5 as S5
from .esn import ESN as ESN
from .gated import GRU as GRU, LSTM as LSTM
from .hybrid import Hybrid as Hybrid
from .linear_attention import LinearAttention as LinearAttention
from .lmu import LMU as LMU
from .mamba import Mamba as Mamba
from .network import Network as Network, resampled as resampled
from .oscillators import CoRNN as CoRNN, CoupledOscillators as CoupledOscillators
from .projected import ProjectedLSTM as ProjectedLSTM
from .registry import about as about, describe as describe, get as get, names as names
from .residual import (
    Activation as Activation,
    Block as Block,
    Dense as Dense,
    Embedding as Embedding,
    FeedForward as FeedForward,
    Norm as Norm,
)
from .rnn import Linear as Linear, Orthogonal as Orthogonal, Relu as Relu, Tanh as Tanh
from .s4 import S4 as S4
from .selective import Selective as Selective
from .ssm import S4D as S4D
from .torch_step import TorchStep as TorchStep
