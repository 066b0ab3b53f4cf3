from .contest import race as race
from .drawing import picture as picture
