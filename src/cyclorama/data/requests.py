"""The words with which a caption or a transcript is asked for, in training as at use.

One wording each: a small reader spends nothing on synonyms. What else is asked of clips comes from
`worlds.questions`, of hidden cards and words from `media_rows`.
"""

CAPTION_REQUESTS = {
    "short": "What happens, in one sentence?",
    "dense": "What is there and what happens, in detail?",
    "timed": "What happens when?",
}
SAID_REQUEST = "What is said?"


def caption_request(style: str) -> str:
    """Return the question that a caption answers; ValueError names the styles."""
    if style not in CAPTION_REQUESTS:
        raise ValueError(f"no style of captions {style!r}: give {', '.join(CAPTION_REQUESTS)}")
    return CAPTION_REQUESTS[style]
