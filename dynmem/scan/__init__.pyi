from .channel import channel_scan as channel_scan
from .linear import linear_scan as linear_scan
from .selective import selective_scan as selective_scan
