"""Engine clips with an examiner's questions, about the film and about its first picture alone.

Picture the live book of `worlds_live` with exercises at the foot of each page: what the engine
knows of the clip, asked so that guessing does not pay (`worlds.questions`). The exercises are part
of a sample's truth, so that a cache (`worlds_cache.render_cache`) keeps them with the pixels, and
no clip is simulated twice. A picture is asked only what needs no time. Leaves out how questions
are written into a stream: see `media_rows`.
"""

import random
from dataclasses import asdict, dataclass, replace
from typing import Any

from cyclorama.data.sample import Sample
from cyclorama.data.worlds_live import WorldsClips
from cyclorama.shapes import VideoShape
from cyclorama.worlds.episode import Episode, visible_areas, witness
from cyclorama.worlds.language import dense_caption
from cyclorama.worlds.questions import Facts, ask
from cyclorama.worlds.recipe import recipe_hash
from cyclorama.worlds.truth import Event

STILL_KINDS = ("count", "exists", "colour", "shape", "material", "where")
TRUTH = 2  # version of what a clip's truth has; a cache of another is of no use
ONE_WORDING = ("count", "camera", "fastest")  # kinds that ask every clip in the same words
CLIP_SHAPES = ((VideoShape(17, 64, 64), 1.0),)


@dataclass(frozen=True)
class AskedClips(WorldsClips):
    """`WorldsClips` whose truth has ``questions``, and under ``still`` those of the first frame.

    A question is a mapping with kind, text, answer and choices; ``still`` also has a ``caption``.
    ``events`` are mappings with ``time_s``, ``kind`` and the ``ids`` of the bodies that take part.
    The examiner asks ``num_rounds`` times, each time anew: some questions come back, but not those
    of `ONE_WORDING`, which a second toss would ask of more clips than the balance allows.
    """

    num_rounds: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_rounds < 1:
            raise ValueError(f"num_rounds must be at least 1, got {self.num_rounds}")

    def __getitem__(self, index: int) -> Sample:
        """Return clip ``index``, rendered and asked now."""
        episode = self.episode(index)
        sample = self.sample_of(episode)
        first = facts_of(episode, num_frames=1)
        there = dense_caption(episode.recipe, first.events, visible=first.visible)
        still = {
            "questions": [q for q in self._asked(first) if q["kind"] in STILL_KINDS],
            "caption": there.split(". ")[0] + ".",  # the rest tells what moves
        }
        truth = {
            **episode.attributes,
            "events": [_plain(event) for event in episode.events],
            "questions": self._asked(facts_of(episode)),
            "still": still,
        }
        return replace(sample, truth=truth)

    def _asked(self, facts: Facts) -> list[dict[str, Any]]:
        """Return the balanced questions about a scene, as JSON keeps them."""
        seed = "questions/" + recipe_hash(facts.recipe)
        questions = ask(facts, random.Random(seed))
        for number in range(1, self.num_rounds):
            more = ask(facts, random.Random(f"{seed}/{number}"))
            questions += tuple(one for one in more if one.kind not in ONE_WORDING)
        return [{**asdict(question), "choices": list(question.choices)} for question in questions]


def _plain(event: Event) -> dict[str, Any]:
    """Return an event as JSON keeps it; furniture that takes part has no number."""
    ids = [one + 1 for one in (event.first, event.second) if isinstance(one, int)]
    return {"time_s": event.time_s, "kind": event.kind, "ids": ids}


def asked_clips(domain: str, split: str, *, num_clips: int, num_rounds: int = 1) -> AskedClips:
    """Return a source of clips of 17 frames of 64x64 at 8 fps; ValueError as in `WorldsClips`."""
    return AskedClips(domain, split, num_clips, CLIP_SHAPES, num_rounds=num_rounds)


def facts_of(episode: Episode, *, num_frames: int | None = None) -> Facts:
    """Return what is seen in the first frames of an episode (all by default)."""
    num = num_frames or len(episode.frames)
    return witness(
        episode.recipe,
        episode.tracks.until(num),
        pixels=episode.pixels[:num],
        cameras=episode.cameras[:num],
        visible_px=visible_areas(episode.object_ids[:num], len(episode.recipe.bodies)),
        size_px=episode.frames.shape[1:3],
    )
