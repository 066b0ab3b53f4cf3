from .array_task import Samples as Samples
from .checkpoint import load as load, save as save
from .corpus_tasks import (
    SplitSamples as SplitSamples,
    next_token as next_token,
    speaker_task as speaker_task,
    speech_task as speech_task,
    text_task as text_task,
)
from .dataset_tasks import task_of as task_of
from .fitting import fit as fit
from .forecast_skill import learned_dynamics as learned_dynamics, valid_time as valid_time
from .forecaster import Forecaster as Forecaster
from .memory.learnable_delay import learnable_delay as learnable_delay
from .memory.memory_signal import memory_signal as memory_signal
from .memory.null_fit import null_fit as null_fit
from .memory.predicted_delay import predicted_delay as predicted_delay
from .orbit_data import forcing_interval as forcing_interval
from .readout import echo_state_forecaster as echo_state_forecaster, ridge_readout as ridge_readout
from .teacher_forcing import fit_forecaster as fit_forecaster
from .trainable import Trainable as Trainable
