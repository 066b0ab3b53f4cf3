from .description import summary as summary
from .registry import (
    about as about,
    describe as describe,
    load as load,
    names as names,
    options as options,
)
from .splits import part as part
from .store import open as open, save as save, write as write
