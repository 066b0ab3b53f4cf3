"""Question answering on generated stories of persons, places and objects, with an exact solver."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import ShapeError
from ..runtime.validation import public
from ..typing import ArrayLike
from .matching import another
from .task import Task

__all__ = ["Questions"]

PERSONS = ("Mary", "John", "Daniel", "Sandra", "Julie", "Fred", "Bill", "Jeff")
OBJECTS = ("milk", "football", "apple", "book", "lamp", "key", "cup", "hat")
PLACES = ("kitchen", "garden", "office", "bathroom", "hallway", "bedroom", "cellar", "park")
WORDS = {
    1: ("went", "where", "is", "?"),
    2: ("went", "took", "dropped", "where", "is", "?"),
    3: ("went", "took", "dropped", "where", "was", "before", "?"),
}
# a verb as one token, and as it is read
FORMS = {"went": "went to the", "took": "took the", "dropped": "dropped the"}


@public
@dataclass(frozen=True)
class Questions(Task):
    """Read a story, then answer a question about it.

    A sentence is three tokens: a person goes to a place ("Mary went kitchen"), takes or drops an
    object. The question is about facts=1: a person, "where is Mary?"; the last place she went to;
    facts=2: an object, "where is milk?"; who took it, and where that person went, before or after
    taking it; facts=3: an object's past, "where was milk before office?"; who took it, and the last
    two places it was brought to. ``distance`` counts back, from 1 for the last sentence, to the one
    that names the answer. The other sentences follow the rules of the same world: only a person who
    is there takes an object that lies there.

    Inputs are whole numbers, the indices of ``vocabulary``; the target, at the last step, is a
    place, counted from 0. Places enter the story symmetrically, so a predictor that has read the
    question but not the story is at the floor ln places (facts=3 names one place that it is not:
    ln(places - 1)). ``answer`` reads the tokens of a story and finds the answer without error.

    Parameters
    ----------
    facts : {1, 2, 3}
        Number of sentences that the answer needs.
    sentences : int
        Number of sentences.
    distance : int or None
        Sentences back to the one that names the answer; None draws it uniformly for each story.
    persons, places, objects : int
        How many there are, at most 8.

    References
    ----------
    In the manner of tasks 1 to 3 of Weston et al. (2015), arXiv:1502.05698 (bAbI).

    Examples
    --------
    >>> import dynmem as dm
    >>> task = dm.tasks.Questions(facts=2, sentences=3, distance=1)
    >>> story = task.arrays(1, rng=1)[0][0]
    >>> print(task.text(story).replace(". ", ".\\n"))
    Sandra went to the garden.
    John took the football.
    John went to the bedroom.
    Where is the football?
    >>> task.answer(story), round(task.floor, 6)
    ('bedroom', 1.791759)
    """

    facts: int = 1
    sentences: int = 10
    distance: int | None = None
    persons: int = 4
    places: int = 6
    objects: int = 3

    name = "questions"
    title = "question answering on stories"
    source = "in the manner of Weston et al. (2015), arXiv:1502.05698, tasks 1 to 3"
    loss = "cross_entropy"
    apart = True
    recalled = slice(-1, None)

    choices = {"facts": (1, 2, 3)}

    @property
    def limits(self) -> dict[str, tuple[int, int | None]]:  # type: ignore[override]
        """Least and largest value of each whole number, which depend on the facts."""
        facts = self.facts if isinstance(self.facts, int | np.integer) else 1
        return {
            "sentences": (min(max(facts, 1), 3), None),
            "distance": (2 if facts == 3 else 1, None),
            "persons": (2, len(PERSONS)),
            "places": (3 if facts == 3 else 2, len(PLACES)),
            "objects": (1, len(OBJECTS)),
        }

    def check_options(self) -> None:
        """Refuse a distance beyond the story."""
        if self.distance is not None and self.distance > self.sentences:
            raise ValueError(
                f"distance = {self.distance}: the story has {self.sentences} sentences, set "
                f"sentences to {self.distance} or more"
            )

    @property
    def words(self) -> dict[str, str]:  # type: ignore[override]
        """Vocabulary and answers, as attributes of a Dataset."""
        answers = " ".join(PLACES[: self.places])
        return {"vocabulary": " ".join(self.vocabulary), "answers": answers}

    @property
    def nearest(self) -> int:
        """Least distance that can be: three facts end with another one."""
        return 2 if self.facts == 3 else 1

    @property
    def inputs(self) -> int:
        """Input width."""
        return len(self.vocabulary)

    @property
    def outputs(self) -> int:
        """Output width."""
        return self.places

    @property
    def steps(self) -> int:
        """Length of a sequence."""
        return 3 * self.sentences + self._asking

    @property
    def floor(self) -> float:
        """Least mean loss without a memory."""
        return math.log(self.places - (self.facts == 3))

    @property
    def chance(self) -> float:
        """Accuracy without a memory."""
        return 1.0 / (self.places - (self.facts == 3))

    @property
    def _asking(self) -> int:
        return 6 if self.facts == 3 else 4

    @property
    def dependency(self) -> int:
        """Longest lag in steps from the first word of a sentence that is needed to the answer."""
        back = self.distance if self.facts == 1 and self.distance else self.sentences
        return 3 * back + self._asking - 1

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The words, in the order of their tokens: persons, objects (where there are any), places,
        verbs, words of questions."""
        objects = OBJECTS[: self.objects] if self.facts > 1 else ()
        return (*PERSONS[: self.persons], *objects, *PLACES[: self.places], *WORDS[self.facts])

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (count, steps), and the place that answers, at the last step."""
        dtype = np.min_scalar_type(self.inputs)
        inputs, targets = (
            np.empty((self.steps, count), dtype),
            np.zeros((count, self.steps), np.uint8),
        )
        plot = self._plot(count, rng)
        world = World(self, count)
        for sentence in range(self.sentences):
            inputs[3 * sentence : 3 * sentence + 3] = world.sentence(sentence, plot, rng)
            targets[:, -1] = np.where(
                plot["answer"] == sentence,
                inputs[3 * sentence + 2] - world.first_place,
                targets[:, -1],
            )
        token = self.vocabulary.index
        last_place = world.first_place + world.place[np.arange(count), plot["person"]]
        thing = plot["person"] if self.facts == 1 else self.persons + plot["object"]
        asking = (thing,) if self.facts < 3 else (thing, token("before"), last_place)
        for step, word in enumerate(
            (token("where"), token("was" if self.facts == 3 else "is"), *asking, token("?")),
            3 * self.sentences,
        ):
            inputs[step] = word
        return np.ascontiguousarray(inputs.T), targets

    def _plot(self, count, rng):
        """What must happen, each of shape (count,): the person and the object of the question;
        the sentences in which the person goes to the place that answers (answer), takes the object
        (taken) and leaves again (left), -1 where that does not happen."""
        person, thing = (
            rng.integers(self.persons, size=count),
            rng.integers(self.objects, size=count),
        )
        back = (
            self.distance
            if self.distance is not None
            else rng.integers(self.nearest, self.sentences + 1, size=count)
        )
        answer = np.broadcast_to(self.sentences - back, (count,))
        taken = left = np.full(count, -1)
        if self.facts == 2:
            taken = rng.integers(self.sentences - 1, size=count)
        elif self.facts == 3:
            # the object is taken in a sentence of its own before it leaves
            first = np.maximum(answer + 1, 2)
            left = first + rng.integers(self.sentences - first)
            taken = rng.integers(left - 1)
        return {
            "person": person,
            "object": thing,
            "answer": answer,
            "taken": taken + (taken >= answer),
            "left": left,
        }

    def text(self, story: ArrayLike) -> str:
        """A story of tokens (steps,) as English text."""
        words = self._words(story)
        sentences = [
            f"{who} {FORMS[verb]} {what}."
            for who, verb, what in zip(
                *(words[i : 3 * self.sentences : 3] for i in range(3)), strict=True
            )
        ]
        subject = [
            word if word in PERSONS + WORDS[self.facts] else f"the {word}"
            for word in words[3 * self.sentences + 1 : -1]
        ]
        return " ".join((*sentences, "Where", *subject)) + "?"

    def answer(self, story: ArrayLike) -> str:
        """The place that answers a story of tokens (steps,), found by following every person and
        object through it."""
        words = self._words(story)
        at: dict[str, str] = {}
        carried_by: dict[str, str] = {}
        visited: dict[str, list[str]] = {}
        for i in range(0, 3 * self.sentences, 3):
            who, verb, what = words[i : i + 3]
            if verb == "went":
                at[who] = what
            elif verb == "took":
                carried_by[what] = who
            for thing, carrier in carried_by.items():
                if carrier in at and at[carrier] not in visited.get(thing, ())[-1:]:
                    visited.setdefault(thing, []).append(at[carrier])
            if verb == "dropped":
                del carried_by[what]
        subject = words[3 * self.sentences + 2]
        if self.facts == 1:
            return at[subject]
        if self.facts == 2:
            return visited[subject][-1]
        return visited[subject][len(visited[subject]) - 2 - visited[subject][::-1].index(words[-2])]

    def _words(self, story):
        story = np.asarray(story)
        if (
            story.shape != (self.steps,)
            or story.dtype.kind not in "iu"
            or not 0 <= story.min() <= story.max() < self.inputs
        ):
            raise ShapeError(
                f"a story of {self} is {self.steps} whole numbers from 0 to "
                f"{self.inputs - 1}, one row of what arrays() returns; "
                f"got shape {story.shape}"
            )
        return [self.vocabulary[token] for token in story]


class World:
    """Who is where and who carries what, in ``count`` stories at once, sentence by sentence; -1 is
    not known, or nobody."""

    def __init__(self, task, count):
        self.task, self.rows = task, np.arange(count)
        self.first_place = task.vocabulary.index(PLACES[0])
        self.place = np.full((count, task.persons), -1)
        self.carrier = np.full((count, task.objects), -1)
        self.lies = np.full((count, task.objects), -1)

    def sentence(self, number, plot, rng):
        """Tokens (3, count) of the next sentence: what the plot wants, or what anybody may do who
        does not disturb it."""
        task, token = self.task, self.task.vocabulary.index
        wanted = (plot["answer"] == number) | (plot["left"] == number)
        takes = plot["taken"] == number if task.facts > 1 else np.zeros(len(self.rows), bool)
        anybody = rng.integers(task.persons, size=len(self.rows))
        actor = np.where(
            number > plot["answer"], another(plot["person"], task.persons, rng), anybody
        )
        actor = np.where(wanted | takes, plot["person"], actor)
        thing, drops, finds = (
            self._handled(actor, plot, rng)
            if task.facts > 1 and task.objects > 1
            else (plot["object"], False, False)
        )
        drops, takes = drops & ~wanted & ~takes, takes | (finds & ~wanted)
        thing = np.where(plot["taken"] == number, plot["object"], thing)
        goes = ~(drops | takes)
        target = self._go(actor, goes, rng)
        if task.facts == 1:
            return np.stack((actor, np.full_like(actor, token("went")), target + self.first_place))
        self._hand(actor, thing, drops, takes)
        verb = np.where(goes, token("went"), np.where(takes, token("took"), token("dropped")))
        return np.stack(
            (actor, verb, np.where(goes, target + self.first_place, thing + task.persons))
        )

    def _handled(self, actor, plot, rng):
        """An object other than that of the question, and whether the actor drops it, or takes it:
        half of the times that this can be."""
        thing, here = another(plot["object"], self.task.objects, rng), self.place[self.rows, actor]
        carrier, lies = self.carrier[self.rows, thing], self.lies[self.rows, thing]
        willing = (rng.random(len(self.rows)) < 0.5) & (here >= 0)
        return (
            thing,
            willing & (carrier == actor),
            willing & (carrier < 0) & ((lies < 0) | (lies == here)),
        )

    def _go(self, actor, goes, rng):
        """A place other than where the actor is, who goes there."""
        here = self.place[self.rows, actor]
        target = np.where(
            here < 0,
            rng.integers(self.task.places, size=len(here)),
            another(here, self.task.places, rng),
        )
        self.place[self.rows, actor] = np.where(goes, target, here)
        return target

    def _hand(self, actor, thing, drops, takes):
        """Objects change hands."""
        carrier, lies = self.carrier[self.rows, thing], self.lies[self.rows, thing]
        self.carrier[self.rows, thing] = np.where(takes, actor, np.where(drops, -1, carrier))
        self.lies[self.rows, thing] = np.where(drops, self.place[self.rows, actor], lies)
