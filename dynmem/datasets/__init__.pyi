from .description import describe as describe
from .registry import about as about, load as load, names as names, options as options
from .splits import part as part
from .store import open as open, save as save, write as write
