"""Families of needles that a grammar makes: wordings without end.

Picture a printer's case from which no two sentences come alike: "The crooked permit of Zilmer is
4823.", "Long ago the barge QX-71 rested under a miller.", "Clerks counted 5310 ladders at Tovwick."
A family is drawn anew for every batch: what is told (a noun's, a verb's or a number's relation),
of what (bare key, or "the barge {key}"), and how it is asked for. A reader that has only seen a
score of written families learns their wordings by heart; over these it can only learn what is
common to them all: a fact stands beside its key. Leaves out the held-out families' words (see
TEST_TEMPLATES in `needle_words`), which no grammar may make. After symbol tuning's lesson (Wei et
al. 2023, arXiv 2305.08298): what is drawn anew cannot be learned by heart.
"""

import re

import numpy as np

from cyclorama.data.needle_draws import invented, pick
from cyclorama.data.needle_words import ADJECTIVES, ANIMALS, OBJECTS, TRADES, Template, listed

NOUNS = listed(
    """address age aim alias allowance anthem answer badge ballot banner bargain bet bill birthday
    blessing bond bounty breed bribe burden call caption cause charm charter claim clue code
    colour command comfort complaint crest crime cure curse custom dance date deadline debt
    decree delight demand deposit depth design destiny device diet disguise dish dowry draft
    dream duty emblem entry errand excuse exit fare fate favour fear fee fine flavour formula
    fortune game gift goal grade greeting guess habit handle harvest heading heir height hint
    hobby honour hope idea index inscription invoice item joke journey kind label law league
    lesson letter level licence limit line load loan lot mark match measure medal medicine
    memory mission model mood name nature nickname note notice number oath object offer opinion
    option order origin password path pattern payment penalty permit phrase plan plea pledge
    point post prayer prediction present prize profit promise proof proverb purpose quota rank
    rate reason receipt recipe record refuge remark remedy rent reply report request result
    reward rhyme riddle right role route rule rumour salary seal season seat sentence sequence
    shade share sign signal size slogan song source speed spell spot stage stake standard
    station story subject suit sum surname symbol target task tax theme theory ticket title
    toast token toll tone total toy trace track trick trophy truth tune type unit use verdict
    version view vote vow wage warning weakness weapon weight wish word"""
)
VERBS = listed(
    """accept adore answer attack attend await avoid award belong blame bless bloom boast borrow
    bother burn call calm chase claim clean climb collect comfort compare consult cover cross
    curse dance decorate defend demand deserve desire detest devour differ discover dislike
    doubt dream echo employ end enjoy enter escape expect explain fail favour fear feast finish
    flourish follow forgive gather glow greet guard guess haunt help honour hunt imitate improve
    inherit inspect inspire invent invite join jump kick laugh lead lean learn listen live long
    look love march matter measure mention merit miss mourn move murmur need note obey obtain
    offer order own paint pardon perform pick plant play point portray possess pour praise pray
    prefer present preserve prevail promise protest protect punish pursue push quarrel question
    reach recall receive reckon recommend refuse regret reject rely remain remember remind
    remove repair repeat replace request require respect rest return reveal reward rule sail
    save search seek serve shelter shout sign smile sound stay suffer suggest support surrender
    suspect talk taste thank threaten touch trade train travel treasure trust turn value visit
    wait walk want warn wash watch welcome whisper wish wonder work worry yield"""
)
_IRREGULAR = {"lead": "led", "seek": "sought", "prefer": "preferred"}
PREPOSITIONS = listed(
    """about|above|across|after|against|among|around|as|at|before|behind|below|beneath|beside|
    between|beyond|by|during|for|from|in|in front of|inside|instead of|into|like|near|next to|of|
    off|on|on account of|opposite|over|since|thanks to|through|till|to|toward|under|until|upon|
    with|within|without""",
    "|",
)
BEARERS = listed(
    """abbey account album archive army barge barn brig cabin camp carriage caravan chapel church
    clan clinic club college colony company council county court crew district drawer duke
    envelope factory family farm ferry file firm folder fort gang garden ghost guest guild hall
    hamlet heiress hotel house inn island junction kingdom lady library lodge lord machine
    mansion market master mill mine monastery office order palace parish party pavilion pier
    plot pool port prince prison project province pupil ranch region regiment road room school
    schooner sector server shed shelf ship shop shrine sir site society stable statue stranger
    street studio suite team temple theatre tribe tunnel unit valley vault vessel village ward
    warehouse well widow wing workshop"""
)
PLURALS = tuple(word + "s" for word in (*OBJECTS, *ANIMALS) if re.search("[^sxhyf]$", word))
WITNESSES = tuple(f"{trade}s" for trade in TRADES) + listed("visitors travellers records")
OPENINGS = listed(
    "|||||||Note that|It is said that|Long ago|As everyone knows,|Once upon a time|In those days|"
    "The papers state:|According to an old book,|By the way,|Reminder:|To this day|"
    "I have heard it: |Long after that,|In fact,|It so happens that",
    "|",
)  # fmt: skip
_KEYS = ("pair", "triple", "name", "person", "place", "id", "digits")
_VALUES = listed(
    """number number number word words words uuid hex code code date city trade colours cargo thing
    activity outing person person sentence"""
)

_NOUN_STATEMENTS = listed(
    """the {r} of {s} is {v}.|the {r} of {s} is: {v}.|{s} has the {r} {v}.|{s} has {v} as {r}.|
    the {r} for {s} was {v}.|for {s} the {r} is {v}.|{v} is the {r} of {s}.|{s}'s {r}: {v}.|
    the {r} {s} received was {v}.|as {r}, {s} chose {v}.|
    the {r} that belongs to {s} reads {v}.|{r} of {s} = {v}|
    somebody wrote {v} beside the {r} of {s}.|{s} was given the {r} {v}.|the {s} {r} is: {v}.|
    the {s} {r} will be {v}.|the {q} {s} {c} is: {v}.|the {q} {s} {c} is {v}.|
    {s} got {v} for a {r}.|concerning {s}, the {r} is {v}.|with {s} goes the {r} {v}.|
    on the {r} of {s} stands {v}.|{v} serves {s} as {r}.|{v}: such is the {r} of {s}.|
    {s} and its {r}, {v}, are well known.|no other {r} fits {s} than this: {v}.|
    the {r} they gave to {s} was {v}.|{s} keeps a {r} which says "{v}".|{s} ({r}: {v})|
    "{s}" has "{v}" for its {r}.""",
    "|",
)
_NOUN_QUESTIONS = listed(
    """What is the {r} of {s}?|Which {r} does {s} have?|What {r} belongs to {s}?|{r} of {s}?|
    What was the {r} for {s}?|Tell me the {r} of {s}.|Name the {r} that {s} has.|
    Do you remember the {r} of {s}?|What is {s}'s {r}?|What is the {s} {r}?|
    What is the {q} {s} {c}?|Which is the {q} {s} {c}?|What does {s} have as {r}?|
    The {r} of {s} is what?|What is written as the {r} of {s}?|
    Which {r} did they give to {s}?|What {r} goes with {s}?|
    According to the text, what is the {r} of {s}?|Give the {r} for {s}.""",
    "|",
)
_NOUN_PLURALS = listed(
    """What are all the {r}s of {s}?|List every {r} of {s}.|Which {r}s does {s} have?|
    What are all the {r}s for {s} mentioned in the text?|Name each {r} of {s}.""",
    "|",
)
_VERB_STATEMENTS = listed(
    """{s} {does} {p} {v}.|{s} {did} {p} {v}.|it was {v} that {s} {did}{_p}.|
    the {n} of {s} {does} {p} {v}.|{s} was {did} {p} {v}.|{v} was {did} {p} {s}.|
    {s} will {do} {p} {v}.|{v} {did} {p} {s}.|the {n} {did} {s} {p} {v}.|{w} {do} {s} {p} {v}.|
    {s} would always {do} {p} {v}.|{did} {p} {s} is {v}.|
    the {n} {does} {s} to {v}.|{p} {v} {w} {did} {s}.|what {s} {does} {p} is this: {v}.|
    {s}, {did} by {w}, {does} {p} {v}.""",
    "|",
)
_VERB_QUESTIONS = listed(
    """What does {s} {do}{_p}?|{P} what does {s} {do}?|What did {s} {do}{_p}?|
    What is {did} {p} {s}?|Who or what {did} {p} {s}?|{P} whom does {s} {do}?|
    What was it that {s} {did}{_p}?|{P} what was {s} {did}?|To whom does the {n} {do} {s}?|
    What does the {n} of {s} {do}{_p}?|Who {did} {p} {s}?|Who {did} the {n} {p} {s}?|
    What will {s} {do}{_p}?|{P} what did {w} {do} {s}?""",
    "|",
)
_NUMBER_STATEMENTS = listed(
    """{s} boasts {v} {m}.|there are {v} {m} in {s}.|{s} {did} {v} {m}.|{s} {does} {v} {m}.|
    the {n} of {s} {does} {v} {m}.|{v} {m} {do} {p} {s}.|{w} {did} {v} {m} {p} {s}.|
    {m} {p} {s}: {v}.|the {n} of {s} holds {v} {m}.|no fewer than {v} {m} {did} {s}.|
    {s} was sold for {v} {m}.""",
    "|",
)
_NUMBER_QUESTIONS = listed(
    """How many {m} does {s} boast?|How many {m} are there in {s}?|How many {m} did {s} {do}?|
    How many {m} does {s} {do}?|How many {m} does the {n} of {s} {do}?|
    How many {m} {do} {p} {s}?|How many {m} does the {n} of {s} hold?|
    What is the number of {m} {p} {s}?|{s} has how many {m}?|
    How many {m} did {w} {do} {p} {s}?""",
    "|",
)
_FORMS = {
    "noun": (_NOUN_STATEMENTS, _NOUN_QUESTIONS),
    "verb": (_VERB_STATEMENTS, _VERB_QUESTIONS),
    "number": (_NUMBER_STATEMENTS, _NUMBER_QUESTIONS),
}


def made_template(rng: np.random.Generator) -> Template:
    """Return a family that was just made up: two to four wordings and as many questions."""
    form = str(rng.choice(list(_FORMS), p=(0.45, 0.4, 0.15)))
    words = _words(rng)
    statements, questions = (_some(rng, wordings, words) for wordings in _FORMS[form])
    keys = rng.choice(_KEYS, size=int(rng.integers(1, 4)), replace=False)
    keys = [*keys, "city"] if rng.random() < 0.15 else keys
    return Template(
        name=f"made {form} {words['r']} {words['do']} {words['m']}",
        keys=tuple(str(key) for key in keys),
        value="number" if form == "number" else pick(rng, _VALUES),
        statements=tuple(_opened(rng, text) for text in statements),
        questions=questions,
        plurals=_some(rng, _NOUN_PLURALS, words) if form == "noun" else (),
    )


def past(verb: str) -> str:
    """Return the past of a verb of `VERBS`."""
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + ("d" if verb.endswith("e") else "ed")


def third_person(verb: str) -> str:
    """Return what he, she or it does."""
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x")) else "s")


def _words(rng: np.random.Generator) -> dict[str, str]:
    """Return what a family's wordings are filled with, but for key and value."""
    verb, preposition = pick(rng, VERBS), pick(rng, PREPOSITIONS)
    preposition = "" if rng.random() < 0.3 else preposition
    relation = invented(rng, 2) if rng.random() < 0.05 else pick(rng, NOUNS)
    core, qualifiers = relation, []
    for _ in range(int(rng.choice(3, p=(0.45, 0.4, 0.15)))):
        qualifiers.append(pick(rng, ADJECTIVES if rng.random() < 0.7 else NOUNS))
        relation = f"{qualifiers[-1]} {relation}"
    bearer = f"{pick(rng, BEARERS)} {{key}}"
    bearer = f"the {bearer}" if rng.random() < 0.6 else bearer
    return {
        "s": "{key}" if rng.random() < 0.5 else bearer,
        "v": "{value}",
        "r": relation,
        "q": " ".join(reversed(qualifiers)),  # may be nothing, and stands before the bearer
        "c": core,
        "n": pick(rng, NOUNS),
        "do": verb,
        "does": third_person(verb),
        "did": past(verb),
        "p": preposition,
        "_p": f" {preposition}" if preposition else "",
        "P": preposition.capitalize(),
        "m": pick(rng, PLURALS),
        "w": pick(rng, WITNESSES),
    }


def _some(
    rng: np.random.Generator, wordings: tuple[str, ...], words: dict[str, str]
) -> tuple[str, ...]:
    """Return two to four wordings, filled."""
    chosen = rng.choice(len(wordings), size=int(rng.integers(2, 5)), replace=False)
    filled = (" ".join(wordings[i].format(**words).split()) for i in chosen)
    return tuple(text[0].upper() + text[1:] for text in filled)


def _opened(rng: np.random.Generator, statement: str) -> str:
    """Return a statement behind some opening, or none."""
    opening = pick(rng, OPENINGS)
    if not opening:
        return statement
    start = statement if statement.startswith("{") else statement[0].lower() + statement[1:]
    return f"{opening} {start}"
