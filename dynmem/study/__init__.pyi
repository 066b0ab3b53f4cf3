from .executor import ClusterError as ClusterError
from .parameters import ConfigurationError as ConfigurationError, Plan as Plan
from .registry import about as about, describe as describe, get as get, names as names
from .run import NoSpaceError as NoSpaceError, Stopped as Stopped, save as save
from .store import ChangedError as ChangedError, Store as Store, load as load
from .study import Study as Study, failures as failures
