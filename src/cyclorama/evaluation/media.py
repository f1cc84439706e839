"""What the reader sees in clips and hears in speech: questions, timed captions, transcripts.

Picture an oral examination. A clip of the engine that no training saw is shown, alone, at its full
8 frames a second, and everything is asked that its truth answers; or the clip is to be told with
instants, and events are paired with the engine's (`marks`). A voice that no training heard says
digits or a sentence; and recordings of people, where the user names a folder of them. Balanced
means over types of questions, since some are asked oftener; a type whose answer is always the same
is left out of that mean. What a guesser would get stands beside.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from cyclorama.data.asked_clips import asked_clips
from cyclorama.data.passages import (
    LEAD_SAMPLES,
    joined_passage,
    num_sound_tokens,
    num_video_tokens,
    scale_frame,
    video_passages,
)
from cyclorama.data.requests import CAPTION_REQUESTS, SAID_REQUEST
from cyclorama.data.sample import Sample
from cyclorama.data.spoken import DIGITS, LONGEST_S, utter
from cyclorama.evaluation.bench import Bench
from cyclorama.evaluation.hidden import audio, video
from cyclorama.evaluation.marks import (
    TOLERANCE_S,
    chance_of,
    events_told,
    f1,
    matched_events,
    word_errors,
    words_of,
)
from cyclorama.evaluation.needle import Trial, ask
from cyclorama.evaluation.outcome import Outcome
from cyclorama.inference.describe import caption_clips, transcribe_samples
from cyclorama.inference.files import Viewing, media_items
from cyclorama.inference.text import read_stream
from cyclorama.models.lm import LMConfig
from cyclorama.shapes import SOUND_RATE_HZ, frame_grid

CAPTION_TOKENS, TRANSCRIPT_TOKENS = 256, 64
CLIPS_A_SEED = 1 << 20
TRIALS_A_CLIP = 5  # to caption a clip, or to write a transcript, takes as long as some questions
DIGIT_FILE = re.compile(r"(\d)_(\w+)_(\d+)\.wav")
PAUSE_S, MOST_DIGITS = 0.2, 7


@dataclass(frozen=True)
class Recording:
    """Words that were said, by whom, and the sound: mono float32 at 16 kHz."""

    text: str
    speaker: str
    samples: np.ndarray


def questions(bench: Bench) -> Outcome:
    """Ask what the engine knows of clips of val_id, all questions of a clip from one reading."""
    outcome, num_trials = Outcome(), bench.config.num_trials
    choices: dict[str, list[int]] = {}
    for number, clip in enumerate(_clips(bench)):
        asked: list[dict[str, Any]] = (clip.truth or {})["questions"]
        asked = asked[: num_trials - len(outcome.rows)]
        frames = np.stack([scale_frame(frame) for frame in clip.frames])
        passage = joined_passage([*video_passages([frames], rate_fps=clip.rate_fps)])
        reading = read_stream(
            bench.reader,
            [passage],
            num_tokens=len(passage.ids),
            memory_dtype=bench.config.memory_dtype,
        )
        answers = ask(bench.reader, reading, questions=[q["text"] for q in asked])
        for one, found in zip(asked, answers, strict=True):
            about = (one["kind"], "clip", one["text"], one["answer"], found)
            outcome.rows.append(Trial(len(passage.ids), number, None, *about))
            choices.setdefault(one["kind"], []).append(len(one["choices"]))
        if len(outcome.rows) == num_trials:
            break
    shares, chances = [], []
    for kind, nums in sorted(choices.items()):
        trials = [trial for trial in outcome.rows if trial.kind == kind]
        outcome.count(f"question_{kind}", [trial.right for trial in trials])
        chance = chance_of([trial.answer for trial in trials], nums)
        outcome.figures[f"question_{kind}_chance"] = chance
        if chance < 1:
            shares.append(sum(trial.right for trial in trials) / len(trials))
            chances.append(chance)
    if shares:
        outcome.figures["questions"] = float(np.mean(shares))
        outcome.figures["questions_chance"] = float(np.mean(chances))
    bench.report(f"questions: {len(outcome.rows)} about {1 + outcome.rows[-1].haystack} clips")
    return outcome


def captions(bench: Bench) -> Outcome:
    """Have clips of val_id told with instants, and pair the events with the engine's."""
    outcome = Outcome(figures={"caption_tolerance_s": TOLERANCE_S})
    matched = num_told = num_true = 0
    for number, clip in zip(range(_fewer(bench)), _clips(bench), strict=False):
        [found] = caption_clips(
            bench.reader, [(clip.frames, clip.rate_fps)], style="timed", max_tokens=CAPTION_TOKENS
        )
        truth = clip.captions["timed"]
        told, true = events_told(found), events_told(truth)
        matched += matched_events(told, true)
        num_told, num_true = num_told + len(told), num_true + len(true)
        grid = frame_grid(*clip.frames.shape[1:3])
        num_tokens = num_video_tokens(len(clip.frames), grid, rate_fps=clip.rate_fps)
        about = ("timed", "clip", CAPTION_REQUESTS["timed"], truth, found)
        outcome.rows.append(Trial(num_tokens, number, None, *about))
    outcome.count("caption_exact", [trial.right for trial in outcome.rows])
    outcome.figures |= {
        "caption_event_f1": f1(matched, num_told=num_told, num_true=num_true),
        "caption_event_precision": matched / num_told if num_told else 0.0,
        "caption_event_recall": matched / num_true if num_true else 1.0,
    }
    bench.report(f"captions: {matched} of {num_true} events matched, {num_told} told")
    return outcome


def speech(bench: Bench) -> Outcome:
    """Have voices that no training heard written down, and the user's recordings."""
    outcome = Outcome()
    for place, kind in enumerate(LONGEST_S):
        rng = bench.rng(6, place)
        drawn = (utter(rng, kind, split="test") for _ in range(_fewer(bench)))
        said = (Recording(text, "synthetic", samples) for text, samples in drawn)
        _transcribe(bench, outcome, said, name=f"wer_synthetic_{kind}")
    folder = bench.config.speech
    if folder is not None:
        recordings = read_recordings(folder, bench.rng(7), num=_fewer(bench))
        _transcribe(bench, outcome, recordings, name="wer_real")
    return outcome


TESTS: dict[str, Callable[[Bench], Outcome]] = {
    "video": video,
    "audio": audio,
    "questions": questions,
    "captions": captions,
    "speech": speech,
}


def read_recordings(folder: Path, rng: np.random.Generator, *, num: int) -> Iterator[Recording]:
    """Yield recordings of people in a folder, at most ``num``.

    With ``transcripts.csv``, lines ``NAME|words``, the files NAME.wav; else files of one digit
    each, ``DIGIT_SPEAKER_TAKE.wav``, joined to strings of 1 to 7 of one speaker, as many of each
    speaker. ValueError when the folder holds neither.
    """
    table = folder / "transcripts.csv"
    if table.is_file():
        for name, text in _transcripts(table)[:num]:
            yield Recording(text, "reader", _samples(folder / f"{name}.wav"))
        return
    takes: dict[str, list[tuple[int, Path]]] = {}
    for path in sorted(folder.glob("*.wav")):
        if match := DIGIT_FILE.fullmatch(path.name):
            takes.setdefault(match[2], []).append((int(match[1]), path))
    if not takes:
        raise ValueError(
            f"--speech {folder}: give a folder with transcripts.csv and its recordings, or with "
            "files DIGIT_SPEAKER_TAKE.wav"
        )
    pause = np.zeros(round(PAUSE_S * SOUND_RATE_HZ), np.float32)
    for number in range(num):
        speaker = list(takes)[number % len(takes)]
        chosen = rng.integers(len(takes[speaker]), size=rng.integers(1, MOST_DIGITS + 1))
        digits, paths = zip(*(takes[speaker][index] for index in chosen), strict=True)
        parts = [part for path in paths for part in (pause, np.trim_zeros(_samples(path)))]
        text = " ".join(DIGITS[digit] for digit in digits)
        yield Recording(text, speaker, np.concatenate([*parts, pause]))


def _transcripts(table: Path) -> list[tuple[str, str]]:
    """Return names and words of a table; ValueError for a line without words, or for no line."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = [*csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE)]
    found = [(row[0], row[-1]) for row in rows if row]
    for number, row in enumerate(rows, start=1):
        if row and (len(row) < 2 or not words_of(row[-1])):
            raise ValueError(f"{table}, line {number}: {'|'.join(row)!r}: write NAME|words")
    if not found:
        raise ValueError(f"{table} is empty: write a line NAME|words for each recording")
    return found


def _transcribe(
    bench: Bench, outcome: Outcome, recordings: Iterator[Recording], *, name: str
) -> None:
    """Add the word error rate of recordings, together and by speaker."""
    errors: dict[str, list[tuple[int, int]]] = {}
    for number, one in enumerate(recordings):
        found = transcribe_samples(bench.reader, one.samples, max_tokens=TRANSCRIPT_TOKENS)
        marks = word_errors(found, one.text), len(words_of(one.text))
        errors.setdefault(one.speaker, []).append(marks)
        num_tokens = num_sound_tokens(-(-len(one.samples) // SOUND_RATE_HZ))
        about = (one.speaker, name, SAID_REQUEST, one.text, found)
        outcome.rows.append(Trial(num_tokens, number, None, *about))
    everyone = [marks for those in errors.values() for marks in those]
    rates = {name: everyone}
    if len(errors) > 1:
        rates |= {f"{name}_{speaker}": those for speaker, those in errors.items()}
    for key, marks in rates.items():
        wrong, said = map(sum, zip(*marks, strict=True))
        outcome.figures[key] = wrong / said
    outcome.figures[f"{name}_words"] = sum(said for _, said in everyone)
    bench.report(f"{name}: {outcome.figures[name]:.3f} of {len(everyone)} recordings")


def _clips(bench: Bench) -> Iterator[Sample]:
    """Yield clips of val_id with their questions; another seed has others."""
    seed = bench.config.seed
    clips = asked_clips("stage", "val_id", num_clips=(seed + 1) * CLIPS_A_SEED)
    return (clips[seed * CLIPS_A_SEED + number] for number in count())


def _fewer(bench: Bench) -> int:
    return max(1, bench.config.num_trials // TRIALS_A_CLIP)


def _samples(path: Path) -> np.ndarray:
    """Return the sound of a file, mono float32 at 16 kHz, filled up to whole seconds."""
    hearing = LMConfig(reads=("sound",))
    [item] = media_items(path, config=hearing, viewing=Viewing())
    parts = [m[:, LEAD_SAMPLES:].reshape(-1) for p in item.passages() for m in p.media]
    return np.concatenate(parts)
