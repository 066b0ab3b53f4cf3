"""Questions on stories, read back by rules of their own."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import dynmem as dm
from dynmem.tasks.questions import PLACES, Questions


def sentences_of(task, story):
    """(person, verb, person or place) of each sentence, and the words of the question."""
    words = [task.vocabulary[token] for token in story]
    end = 3 * task.sentences
    return [tuple(words[i : i + 3]) for i in range(0, end, 3)], words[end:]


def possible(told):
    """Whether all that is told can happen in one world: nobody goes where they are, an object has
    one place and one carrier."""
    place, carrier, lies = {}, {}, {}
    for who, verb, what in told:
        if verb == "went":
            if place.get(who) == what:
                return False
            place[who] = what
        elif verb == "took":
            if what in carrier or (what in lies and lies[what] != place.get(who)):
                return False
            carrier[what] = who
        else:
            if carrier.get(what) != who:
                return False
            lies[what] = place[who]
            del carrier[what]
    return True


@st.composite
def questions(draw):
    facts = draw(st.integers(1, 3))
    sentences = draw(st.integers(facts, 12))
    distance = draw(st.none() | st.integers(2 if facts == 3 else 1, sentences))
    return Questions(
        facts,
        sentences,
        distance,
        draw(st.integers(2, 8)),
        draw(st.integers(3, 8)),
        draw(st.integers(1, 8)),
    )


@given(questions(), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_the_solver_finds_every_answer_in_a_possible_world(task, seed):
    stories, targets = task.arrays(20, rng=seed)
    for story, target in zip(stories, targets[:, -1], strict=True):
        assert task.answer(story) == PLACES[target]
        assert possible(sentences_of(task, story)[0])
    assert not targets[:, :-1].any()


@pytest.mark.parametrize("distance", [1, 4, 9])
def test_the_fact_lies_where_it_was_asked_to(distance):
    task = Questions(facts=1, sentences=9, distance=distance)
    for story in task.arrays(200, rng=3)[0]:
        told, (_, _, asked, _) = sentences_of(task, story)
        last = max(i for i, (who, _, _) in enumerate(told) if who == asked)
        assert task.sentences - last == distance
    assert task.dependency == 3 * distance + 3


@pytest.mark.parametrize("facts", [2, 3])
def test_the_place_of_an_object_is_named_where_it_was_asked_to(facts):
    task = Questions(facts=facts, sentences=9, distance=5)
    for story, target in zip(*task.arrays(200, rng=3), strict=True):
        told, _ = sentences_of(task, story)
        who, verb, what = told[task.sentences - 5]
        assert (verb, what) == ("went", PLACES[target[-1]])
        later = [
            sentence
            for sentence in told[task.sentences - 4 :]
            if sentence[0] == who and sentence[1] == "went"
        ]
        assert len(later) == facts - 2


def test_distances_are_uniform_where_none_is_chosen():
    task = Questions(facts=1, sentences=5)
    found = []
    for story in task.arrays(5000, rng=0)[0]:
        told, (_, _, asked, _) = sentences_of(task, story)
        found.append(5 - max(i for i, (who, _, _) in enumerate(told) if who == asked))
    assert abs(np.bincount(found, minlength=6)[1:] - 1000).max() < 4 * math.sqrt(800)


def test_places_answer_alike_and_the_question_says_what_it_may():
    task = Questions(facts=3, sentences=6, places=4)
    stories, targets = task.arrays(30_000, rng=2)
    named = stories[:, -2] - task.vocabulary.index(PLACES[0])
    counts = np.zeros((4, 4))
    np.add.at(counts, (named, targets[:, -1]), 1)
    assert not np.diag(counts).any()
    others = counts[~np.eye(4, dtype=bool)]
    assert abs(others - 2500).max() < 4 * math.sqrt(2500)
    assert task.floor == math.log(3)


def test_a_story_is_read():
    task = Questions(facts=3, sentences=3, persons=2, places=3)
    words = [
        "Mary",
        "took",
        "milk",
        "Mary",
        "went",
        "kitchen",
        "Mary",
        "went",
        "garden",
        "where",
        "was",
        "milk",
        "before",
        "garden",
        "?",
    ]
    story = [task.vocabulary.index(word) for word in words]
    assert task.text(story) == (
        "Mary took the milk. Mary went to the kitchen. Mary went to the "
        "garden. Where was the milk before the garden?"
    )
    assert task.answer(story) == "kitchen"


def test_fit_trains_and_evaluates_on_parts_that_differ(monkeypatch):
    task = Questions(facts=1, sentences=6)
    asked, draw = set(), Questions.arrays

    def arrays(self, count, rng=0, part=None):
        asked.add(part)
        return draw(self, count, rng, part)

    monkeypatch.setattr(Questions, "arrays", arrays)
    model = dm.models.get("gru", units=4, inputs=task.inputs, outputs=task.outputs)
    _, history = dm.fit(model, task, steps=2, batch=4, validation_size=8, progress=False)
    assert asked == {"train", "validation", "test"}
    assert history.floor == math.log(6)
