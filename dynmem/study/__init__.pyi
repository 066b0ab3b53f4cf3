from .executor import ClusterError as ClusterError
from .parameters import ConfigurationError as ConfigurationError, Plan as Plan
from .progress import NoSpaceError as NoSpaceError
from .registry import about as about, describe as describe, get as get, names as names
from .run import Stopped as Stopped
from .store import ChangedError as ChangedError, Store as Store, load as load, save as save
from .study import Study as Study, failures as failures
