"""Sequential digits: real handwriting, pixel by pixel."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from .task import Task, whole

NEEDED = (
    "the digits come with the package scikit-learn, which is missing here: pip install "
    '"dynmem[digits]" (nothing is downloaded later), or take '
    "a task that is drawn, dm.tasks.names()"
)
PIXELS, CLASSES = 64, 10


@dataclass(frozen=True)
class Digits(Task):
    """Which digit was it? An image of 8 x 8 grey pixels is shown one pixel a step, row by row; then
    ``delay`` dark steps; then the answer.

    Inputs are grey values from 0 to 1, shape (count, 64 + delay, 1), the target is the digit at the
    last step. Draws are with replacement, and the parts "train", "validation" and "test" (8, 1 and
    1 tenths, by a hash of the image) share no image; ``fit`` keeps them apart. The floor is the
    entropy of the digit given the grey of the last step, in the frequencies of the whole set: of
    the last pixel without a delay, of nothing with one. Data: the 1797 images of scikit-learn's
    ``load_digits``, the test set of E. Alpaydin and C. Kaynak (1998), Optical Recognition of
    Handwritten Digits, UCI Machine Learning Repository, doi:10.24432/C50P49, licence CC BY 4.0; 64
    pixels of 17 grey values each. Source: Le, Jaitly and Hinton (2015), arXiv:1504.00941 (pixel by
    pixel, on larger images).

    >>> Digits(delay=36).steps, Digits(delay=36).dependency
    (100, 99)
    """

    delay: int = 0

    name = "digits"
    title = "sequential digits"
    source = (
        "Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI, "
        "doi:10.24432/C50P49, CC BY 4.0, 1797 images by "
        "scikit-learn's load_digits; Le, Jaitly and Hinton (2015), arXiv:1504.00941"
    )
    licence = "CC BY 4.0"
    loss = "cross_entropy"
    inputs, outputs, apart = 1, CLASSES, True
    _varied = True  # few, but the images there are
    recalled = slice(-1, None)

    def problems(self):
        """Sentences, one for each option that cannot be."""
        return whole(vars(self), delay=0)

    steps = property(lambda self: PIXELS + self.delay)
    dependency = property(lambda self: self.steps - 1)

    @property
    def floor(self):
        """Entropy of the digit given the input of the last step, in nats."""
        shares = self._shares
        return float(-sum(p * math.log(p / row.sum()) for row in shares for p in row if p > 0))

    @property
    def chance(self):
        """Share of images that the most frequent digit for that grey value gets right."""
        return float(self._shares.max(axis=1).sum())

    @property
    def _shares(self):
        """Share of the images with each grey value at the last step and each digit, (17, 10)."""
        images, labels = read()
        counts = np.zeros((17, CLASSES))
        np.add.at(counts, (0 if self.delay else images[:, -1], labels), 1)
        return counts / counts.sum()

    def draw(self, count, rng):
        """Grey values of images drawn with replacement, and their digits at the last step."""
        images, labels = read()
        chosen = rng.integers(len(images), size=count)
        inputs, targets = (
            np.zeros((count, self.steps, 1), np.float32),
            np.zeros((count, self.steps), np.uint8),
        )
        inputs[:, :PIXELS, 0] = images[chosen] / np.float32(16.0)
        targets[:, -1] = labels[chosen]
        return inputs, targets


@cache
def read():
    """Images (1797, 64) of whole grey values from 0 to 16, and their digits; ImportError where
    scikit-learn is not installed."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(NEEDED) from error
    data = load_digits()
    return data.data.astype(np.uint8), data.target.astype(np.uint8)
