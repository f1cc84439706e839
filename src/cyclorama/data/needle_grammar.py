"""Families of needles that a grammar makes: wordings without end.

Picture a printer's case from which no two sentences come alike: "The crooked permit of Zilmer is
4823.", "Long ago the barge QX-71 rested under a miller.", "Clerks counted 5310 ladders at Tovwick."
A family is drawn anew for every batch: what is told (a noun's, a verb's or a number's relation),
of what (bare key, or "the barge {key}"), and how it is asked for. A reader that has only seen a
score of written families learns their wordings by heart; over these it can only learn what is
common to them all: a fact stands beside its key. Leaves out the nouns and verbs of the held-out
families (TEST_TEMPLATES in `needle_words`): no table here holds one, but common words and forms of
sentences may be alike. After symbol tuning's lesson (Wei et al. 2023, arXiv 2305.08298): what is
drawn anew cannot be learned by heart.
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
CLOSINGS = listed(
    """, as {w} know.|; nobody knows why.|and nothing else.|at last.|without delay.|(see {n}).|
    , not {n}.|since the {n}.|once more.|, say {w}.|, or so {w} say.|!|to the end.|, for sure.|
    , and {w} {did} it.|by the {n}.|; the {n} did not.|until then.|, which was a {n}.""",
    "|",
)
_KEYS = ("pair", "triple", "name", "person", "place", "id", "digits")
_VALUES = listed(
    """number number number word words words uuid hex code code date city trade colours cargo thing
    activity outing person person sentence place name year small"""
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
    "{s}" has "{v}" for its {r}.|
    {v} is what {s} calls its {r}.|ask {s} about the {r} and the reply is {v}.|
    {s}, whose {r} is {v}, stood there.|the {r} was {v} in the case of {s}.|
    to {s} belongs the {r} {v}.|under {s} the ledger has: {r} {v}.|
    {v} has long been the {r} of {s}.|they set the {r} of {s} at {v}.|
    at {s} the {r} now stands at {v}.|if you meet {s}, say {v}: it is the {r}.|
    remember {v}, the {r} of {s}.|{s} lost its {r}, {v}, years ago.|{r}: {v} ({s})|
    {s} / {r} / {v}|write {v} where the {r} of {s} is asked for.|
    {v}, the {r} of {s}, was never changed.|the clerk entered {v} as the {r} of {s}.|
    nobody but {s} has {v} for a {r}.|of all the {r}s that of {s}, {v}, is the oldest.|
    the {r} listed for {s} happens to be {v}.|{s} is known by its {r}, {v}.|
    {v} remains the {q} {c} in {s}.|{s} paid with {v}; that was the {r}.|
    by order of {w} the {r} of {s} became {v}.|you will find {v} under the {r} of {s}.|
    {w} discovered that the {r} of {s} was {v}.|{w} could not guess that {v} was the {r} of {s}.|
    {s} has one {r}, and it is {v}.|the {r} of {s} changed to {v} last spring.|
    unlike others, {s} uses {v} as {r}.|when asked for the {r}, {s} answers {v}.|{s} -> {r}: {v}|
    in {s}, {v} is the {r}.|the {r} in {s} was {v}, and {w} knew it.|there is a {r} in {s}: {v}.|
    {v} it is: the {r} that {s} has.|once {v} became the {r} of {s}, all was well.|
    the {r} which {w} noted at {s} was {v}, nothing else.|{w} put {v} down as {r} for {s}.|
    {v} = {r} of {s}|{v}, and no other, is the {r} {s} has.|{s} went by the {r} {v} among {w}.|
    in the column "{r}" {s} shows {v}.|the {r} held in {s} since the {n} is {v}.|
    {v} was found to be the {r} at {s}.|the {c} of {s} is {q} and is {v}.|
    {s} would have no {r} but {v}.|for the {r} of {s} turn to {v}.""",
    "|",
)
_NOUN_QUESTIONS = listed(
    """What is the {r} of {s}?|Which {r} does {s} have?|What {r} belongs to {s}?|{r} of {s}?|
    What was the {r} for {s}?|Tell me the {r} of {s}.|Name the {r} that {s} has.|
    Do you remember the {r} of {s}?|What is {s}'s {r}?|What is the {s} {r}?|
    What is the {q} {s} {c}?|Which is the {q} {s} {c}?|What does {s} have as {r}?|
    The {r} of {s} is what?|What is written as the {r} of {s}?|
    Which {r} did they give to {s}?|What {r} goes with {s}?|
    According to the text, what is the {r} of {s}?|Give the {r} for {s}.|
    What {r} is listed for {s}?|What does {s} call its {r}?|What is the {r} in {s}?|
    What {r} is known for {s}?|What {r} did {w} note at {s}?|Which {r} is that of {s}?|
    Whose {r} is that of {s}, and what is it?|By what {r} is {s} known?|What has {s} for a {r}?|
    At what does the {r} of {s} stand?|What stands under {s} as {r}?|What became the {r} of {s}?|
    {s}: {r}?|What do {w} say is the {r} of {s}?|What was found to be the {r} at {s}?|
    What {q} {c} does {s} have?|What is the {c} of {s}?|What is the {r} held in {s}?|
    Which {r} was used by {s}?|State the {r} of {s}.|Can you tell which {r} {s} has?""",
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
    {s}, {did} by {w}, {does} {p} {v}.|
    {s} {did} {v} {p} the {n}.|{s} began to {do} {p} {v}.|nobody {did} {s} but {v}.|
    {v} {does} {s} every {n}.|in the end {v} {did} {s}.|{w} saw {v} {do} {p} {s}.|
    {w} say that {s} {does} {p} {v}.|{s} has {did} {p} {v} since then.|{s} can {do} {p} {v}.|
    by {v} {s} was {did}.|having {did} {p} {v}, {s} went home.|{v}, {did} by {s}, is gone.|
    {v} is the thing {s} {did}{_p}.|{s}: {did} {p} {v}.|{s} must {do} {p} {v}, say {w}.|
    {s} and the {n} {did} {p} {v}.|only {v} could {do} {s}.|it is {s} who {does} {p} {v}.|
    the {n} that {s} {did} was {v}.|the one who {did} {s} was {v}.|
    before the {n}, {s} {did} {p} {v}.|{s} {did} the {n} {p} {v}.|what {did} {s} was {v}.|
    {v} was seen to {do} {p} {s}.|{p} {v} {s} was {did} by {w}.|the {n} at {s} {did} {w} {p} {v}.|
    {v} {did} the {n} of {s}.|{s} shows a {n} that {does} {p} {v}.|
    the {n} on {s} {does} {v} and {w}.|in the year of the {n} {s} {did} {p} {v}.|
    {w} {did} {v} as the {n} for {s}.|{w}, who {did} {s}, {do} {p} {v}.|
    {v} and no other {did} {p} {s}.|{s} was {did} {p} {v} and nowhere else.|
    {s} will be {did} {p} {v} for the {n}.|{s} never {did} {p} anything but {v}.|
    to {do} {p} {v} is what {s} likes.|{s} {does} {p} {v} more than {p} {w}.|
    {v} has {did} {s} for its {n}.""",
    "|",
)
_VERB_QUESTIONS = listed(
    """What does {s} {do}{_p}?|{P} what does {s} {do}?|What did {s} {do}{_p}?|
    What is {did} {p} {s}?|Who or what {did} {p} {s}?|{P} whom does {s} {do}?|
    What was it that {s} {did}{_p}?|{P} what was {s} {did}?|To whom does the {n} {do} {s}?|
    What does the {n} of {s} {do}{_p}?|Who {did} {p} {s}?|Who {did} the {n} {p} {s}?|
    What will {s} {do}{_p}?|{P} what did {w} {do} {s}?|
    What has {s} {did}{_p}?|Whom or what did {s} {do}{_p}?|What can {s} {do}{_p}?|
    What was it that {did} {s}?|{s} {did}{_p} what?|Which one {did} {p} {s}?|
    What must {s} {do}{_p}?|By whom was {s} {did}?|Where did {s} {do}?|When did {s} {do}?|
    Where does {s} {do}?|When will {s} {do}?|Which {n} did {s} {do}?|{P} what {n} did {s} {do}?|
    What did {w} {do} {p} {s}?|Who is it that {does} {s}?|In which {n} was {s} {did}?|
    Where was {s} {did}?|When was {s} {did}?|By what was {s} {did}?|What {n} {did} {s}?|
    What does the {n} on {s} {do}?|What is the thing {s} {did}{_p}?|
    What does {s} like to {do}{_p}?|Who has {did} {s}?|What do {w} say {s} {does}{_p}?""",
    "|",
)
_NUMBER_STATEMENTS = listed(
    """{s} boasts {v} {m}.|there are {v} {m} in {s}.|{s} {did} {v} {m}.|{s} {does} {v} {m}.|
    the {n} of {s} {does} {v} {m}.|{v} {m} {do} {p} {s}.|{w} {did} {v} {m} {p} {s}.|
    {m} {p} {s}: {v}.|the {n} of {s} holds {v} {m}.|no fewer than {v} {m} {did} {s}.|
    {s} was sold for {v} {m}.|
    {v} {m} were {did} {p} {s}.|{s} owns {v} {m} and no more.|out of {s} came {v} {m}.|
    it took {v} {m} to {do} {s}.|{s} counted {v} {m}.|{s} is {v} {m} long.|
    {s} weighs as much as {v} {m}.|the {n} at {s} {did} {v} {m}.|a {n} of {v} {m} {does} {p} {s}.|
    within {s} one may count {v} {m}.|{v} is the number of {m} in {s}.|
    about {v} {m} {did} {p} {s}.|exactly {v} {m} belong to {s}.|{s} asked for {v} {m}.|
    from {s} to the {n} it is {v} {m}.|the {m} of {s} number {v}.|{w} gave {v} {m} to {s}.|
    {s} went through {v} {m}.|with its {v} {m}, {s} was rich.|{s} has room for {v} {m}.|
    {w} who {did} {s} met {v} {m}.|{v} {m}, all told, stand at {s}.|in {s}, {w} {do} {v} {m}.|
    every {n} {s} {does} {v} {m} {p} {w}.|{s} lies {v} {m} from the {n}.|
    the {n} {p} {s} is worth {v} {m}.|{v}: so many {m} has {s}.""",
    "|",
)
_NUMBER_QUESTIONS = listed(
    """How many {m} does {s} boast?|How many {m} are there in {s}?|How many {m} did {s} {do}?|
    How many {m} does {s} {do}?|How many {m} does the {n} of {s} {do}?|
    How many {m} {do} {p} {s}?|How many {m} does the {n} of {s} hold?|
    What is the number of {m} {p} {s}?|{s} has how many {m}?|
    How many {m} did {w} {do} {p} {s}?|
    How many {m} belong to {s}?|How many {m} were {did} {p} {s}?|How many {m} long is {s}?|
    How many {m} did it take to {do} {s}?|What number of {m} does {s} have?|
    How many {m} came out of {s}?|How many {m} are within {s}?|How many {m} has {s} got?|
    How many {m} is {s} from the {n}?|To how many {m} does the {n} of {s} come?|
    How many {m} does {s} own?|How many {m} stand at {s}?|How many {m} are {p} {s}?|
    How many {m} has {s} room for?|At how many {m} is the {n} of {s} put?|
    How many {m} did {s} ask for?""",
    "|",
)
_FORMS = {
    "noun": (_NOUN_STATEMENTS, _NOUN_QUESTIONS),
    "verb": (_VERB_STATEMENTS, _VERB_QUESTIONS),
    "number": (_NUMBER_STATEMENTS, _NUMBER_QUESTIONS),
}


def made_template(rng: np.random.Generator) -> Template:
    """Return a family that was just made up: two to four wordings, two to four questions."""
    form = str(rng.choice(list(_FORMS), p=(0.45, 0.4, 0.15)))
    words = _words(rng)
    statements, questions = (_some(rng, wordings, words) for wordings in _FORMS[form])
    keys = rng.choice(_KEYS, size=int(rng.integers(1, 4)), replace=False)
    keys = [*keys, "city"] if rng.random() < 0.15 else keys
    return Template(
        name=f"made {form} {words['r']} {words['do']} {words['m']}",
        keys=tuple(str(key) for key in keys),
        value="number" if form == "number" else pick(rng, _VALUES),
        statements=tuple(_opened(rng, _closed(rng, text, words)) for text in statements),
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


def _closed(rng: np.random.Generator, statement: str, words: dict[str, str]) -> str:
    """Return a statement that may go on behind its end: a value must be known by itself."""
    if rng.random() < 0.7 or not statement.endswith("."):
        return statement
    closing = pick(rng, CLOSINGS).format(**words)
    return statement[:-1] + (closing if closing[0] in ",;!" else f" {closing}")


def _opened(rng: np.random.Generator, statement: str) -> str:
    """Return a statement behind some opening, or none."""
    opening = pick(rng, OPENINGS)
    if not opening:
        return statement
    start = statement if statement.startswith("{") else statement[0].lower() + statement[1:]
    return f"{opening} {start}"
