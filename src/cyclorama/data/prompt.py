"""From a prompt to token ids, the same way in training and in use."""

from functools import lru_cache

from cyclorama.data.tokenizer import Tokenizer, load_tokenizer

MAX_PROMPT_TOKENS = 96


@lru_cache(maxsize=1)
def _tokenizer() -> Tokenizer:
    return load_tokenizer()


def normalise_prompt(text: str) -> str:
    """Lower the case, join white space, drop the last full stop; case never matters."""
    return " ".join(text.lower().split()).rstrip(".")


def words_of(text: str) -> list[str]:
    """Return the words of a prompt or caption in their order, without punctuation around them."""
    words = [word.strip(".,;:!?\"'()") for word in normalise_prompt(text).split()]
    return [word for word in words if word]


def prompt_ids(text: str) -> list[int]:
    """Return the ids of a normalised prompt, each word with its leading space.

    Captions in training are cut at ``MAX_PROMPT_TOKENS``; a longer prompt of a user is refused by
    the caller, since words would be lost without a word.
    """
    return _tokenizer().encode(" " + normalise_prompt(text))[:MAX_PROMPT_TOKENS] if text else []
