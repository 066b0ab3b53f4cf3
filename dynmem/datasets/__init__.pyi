from .description import summary as summary
from .own_sequences import from_sequences as from_sequences
from .own_series import from_series as from_series
from .own_text import from_text as from_text, from_tokens as from_tokens
from .registry import (
    about as about,
    describe as describe,
    load as load,
    names as names,
    options as options,
)
from .scaling import scaled as scaled, unscaled as unscaled
from .splits import part as part
from .store import open as open, save as save, write as write
