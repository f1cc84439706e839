"""Clips with questions are the engine's clips, cached or not; stills are asked what they show."""

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="needs the extra worlds")

from cyclorama.data.asked_clips import CLIP_SHAPES, ONE_WORDING, STILL_KINDS, asked_clips
from cyclorama.data.worlds_cache import render_cache
from cyclorama.data.worlds_live import worlds_clips


def test_questions_are_the_engines_own_and_survive_a_cache(tmp_path):
    clips = asked_clips("stage", "val_id", num_clips=4)
    plain = worlds_clips("stage", "val_id", num_clips=4, shapes=CLIP_SHAPES)
    cache = render_cache(tmp_path / "cache", clips)
    for index in range(3):
        kept, bare = cache[index], plain[index]
        np.testing.assert_array_equal(kept.frames, bare.frames)
        assert kept.captions == bare.captions
        truth = dict(kept.truth)
        asked, still, events = (truth.pop(name) for name in ("questions", "still", "events"))
        assert truth == bare.truth
        full = plain.episode(index, truth="full").questions
        assert [(q["kind"], q["text"], q["answer"], tuple(q["choices"])) for q in asked] == [
            (q.kind, q.text, q.answer, q.choices) for q in full
        ]
        happened = plain.episode(index).events
        assert [(e["time_s"], e["kind"]) for e in events] == [(e.time_s, e.kind) for e in happened]
        for told, event in zip(events, happened, strict=True):
            bodies = [one for one in (event.first, event.second) if isinstance(one, int)]
            assert told["ids"] == [body + 1 for body in bodies]
        assert {q["kind"] for q in still["questions"]} <= set(STILL_KINDS)
        assert still["caption"].endswith(".")
        assert " there " in still["caption"]


def test_a_still_is_asked_about_what_is_in_it():
    clips = asked_clips("stage", "train", num_clips=12)
    for index in range(4):
        episode = clips.episode(index)
        sample = clips[index]
        least = 40 / 2
        there = [b for b in range(1, 4) if (episode.object_ids[0] == b).sum() >= least]
        counts = [q["answer"] for q in sample.truth["still"]["questions"] if q["kind"] == "count"]
        assert counts == ([str(len(there))] if there else [])


def test_rounds_of_questions_begin_with_the_first():
    once = asked_clips("practice", "train", num_clips=3)
    thrice = asked_clips("practice", "train", num_clips=3, num_rounds=3)
    asked, more = once[2].truth["questions"], thrice[2].truth["questions"]
    assert more[: len(asked)] == asked
    assert len({question["text"] for question in more}) > len({q["text"] for q in asked})
    again = {question["kind"] for question in more[len(asked) :]}
    assert again and not again & set(ONE_WORDING)
    with pytest.raises(ValueError, match="num_rounds must be at least 1, got 0"):
        asked_clips("stage", "train", num_clips=1, num_rounds=0)
    answers = {(question["text"], question["answer"]) for question in more}
    assert len(answers) == len({text for text, _ in answers})  # the same question, the same answer
