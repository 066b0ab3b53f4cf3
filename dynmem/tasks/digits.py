"""Sequential digits: real handwriting, pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..runtime.validation import public
from .task import Task

__all__ = ["Digits"]

MISSING_PACKAGE = (
    "the digits come with the package scikit-learn, which is missing here: pip install "
    '"dynmem[digits]" (nothing is downloaded later), or take '
    "a task that is drawn, dm.tasks.names()"
)
PIXELS, CLASSES = 64, 10


@public
@dataclass(frozen=True)
class Digits(Task):
    """Which digit was it? An image is shown one pixel a step, then its digit is required.

    The 8 x 8 grey pixels follow each other row by row; then come ``delay`` dark steps; then the
    answer. Inputs are grey values from 0 to 1, shape (count, 64 + delay, 1), the target is the
    digit at the last step. Draws are with replacement, and the parts "train", "validation" and
    "test" (8, 1 and 1 tenths, by a hash of the image) share no image; ``fit`` keeps them apart. The
    floor is the entropy of the digit given the grey of the last step, in the frequencies of the
    whole set: of the last pixel without a delay, of nothing with one.

    Parameters
    ----------
    delay : int
        Dark steps between the image and the answer.

    Raises
    ------
    ImportError
        When sequences are drawn, where scikit-learn is not installed.

    Notes
    -----
    Data: the 1797 images of scikit-learn's ``load_digits``, the test set of Alpaydin and Kaynak,
    licence CC BY 4.0; 64 pixels of 17 grey values each.

    References
    ----------
    Le, Jaitly and Hinton (2015), arXiv:1504.00941 (pixel by pixel, on larger images); E. Alpaydin
    and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, doi:10.24432/C50P49.

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.Digits(delay=36)
    >>> task.steps, task.dependency
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
    _varied = True  # type: ignore[assignment]  # few, but the images there are
    recalled = slice(-1, None)
    limits = {"delay": (0, None)}

    @property
    def steps(self) -> int:
        """Length of a sequence."""
        return PIXELS + self.delay

    @property
    def dependency(self) -> int:
        """Longest lag in steps from a cue to its recall."""
        return self.steps - 1

    @property
    def floor(self) -> float:
        """Entropy of the digit given the input of the last step, in nats."""
        shares = self._shares
        return float(-sum(p * math.log(p / row.sum()) for row in shares for p in row if p > 0))

    @property
    def chance(self) -> float:
        """Share of images that the most frequent digit for that grey value gets right."""
        return float(self._shares.max(axis=1).sum())

    @property
    def _shares(self):
        """Share of the images with each grey value at the last step and each digit, (17, 10)."""
        images, labels = read()
        counts = np.zeros((17, CLASSES))
        np.add.at(counts, (0 if self.delay else images[:, -1], labels), 1)
        return counts / counts.sum()

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
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
def read() -> tuple[np.ndarray, np.ndarray]:
    """Images (1797, 64) of whole grey values from 0 to 16, and their digits; ImportError where
    scikit-learn is not installed."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(MISSING_PACKAGE) from error
    data = load_digits()
    return data.data.astype(np.uint8), data.target.astype(np.uint8)
