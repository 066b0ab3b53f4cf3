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
from .orbit_data import forcing_interval as forcing_interval
from .readout import echo_state_forecaster as echo_state_forecaster, ridge_readout as ridge_readout
from .teacher_forcing import fit_forecaster as fit_forecaster
from .trainable import Trainable as Trainable
