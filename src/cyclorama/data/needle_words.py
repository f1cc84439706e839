"""Tables of words and templates from which needles are made.

Picture two drawers: one of sentences with two holes ("The magic number for {key} is {value}."),
one of words that fit the holes, alone or joined. Families in TEST_TEMPLATES and nouns in
TEST_NOUNS are never used for training; more families of both sorts are in `needle_families`.
Sources: the RULER wording (2404.06654, appendix B) among the training families; the city number of
Large World Model (2402.08268) and the sandwich of the first needle test (gkamradt) among the
held-out ones. Leaves out how keys and values are put together (`needle_draws`) and where needles go
(`needles`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Template:
    """One family: kinds of its key and value, wordings, and wordings that ask for several.

    Where ``beside`` is a kind, each statement tells something of that kind too ("{beside}"), for
    which the ``turned`` questions ask.
    """

    name: str
    keys: tuple[str, ...]
    value: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    plurals: tuple[str, ...] = ()
    beside: str = ""
    turned: tuple[str, ...] = ()


def listed(text: str, mark: str | None = None) -> tuple[str, ...]:
    """Return the words of ``text``, or what stands between the marks, without outer spaces."""
    return tuple(part.strip() for part in text.split(mark))


ADJECTIVES = listed(
    """amber azure black blue brass bronze brown copper coral crimson cyan ebony emerald gold gray
    green indigo ivory jade lilac maroon olive orange pink purple red rose ruby rust scarlet silver
    teal violet white yellow ancient bitter blind bold brave brief bright broken calm careful cheap
    clever cold crooked curious damp dark deep distant double dry dull early eager empty faint fair
    false famous fast fierce final flat foreign fresh gentle giant glad grand grave happy hasty
    heavy hidden hollow honest humble hungry icy idle jolly keen kind large lazy light little lonely
    loud lucky mellow merry mild misty modest narrow noble odd pale patient plain polite proud quick
    quiet rapid rare rough round royal rusty sacred secret serious shallow sharp short silent simple
    sleepy slow smooth soft solemn spare steady stiff stout strange strong sturdy subtle sudden
    sweet swift tall tame tender thin tired tiny vast warm weary wide wild wise young"""
)
ANIMALS = listed(
    """badger bear beaver bee bull camel cat cow crab crane crow deer dog donkey dove duck eagle
    falcon fox frog goat goose hare hawk heron horse lamb lion lizard mole moth mouse otter owl ox
    parrot pigeon rabbit rat raven salmon seal sheep snake sparrow spider swan tiger toad trout
    turtle wasp whale wolf wren"""
)
FOODS = listed(
    """almond apple barley bread butter cabbage carrot cheese cherry cream fig garlic ginger grape
    honey lemon lentil melon mustard nutmeg oat onion parsley peach pear pepper pie plum potato
    pudding rice saffron salt soup sugar tea walnut wheat"""
)
OBJECTS = listed(
    """anchor anvil arrow axe banner barrel basket bell bench blanket book bottle bowl box bridge
    broom brush bucket button candle carpet cart chain chair chest clock coat coin compass cradle
    cup curtain desk door drum fan feather fence flag flute fork gate glass glove hammer harp hat
    helmet hook kettle key kite knife ladder lamp lantern letter lock map mirror nail needle
    oar pen piano pillow pipe plate plough pot ribbon ring rope saddle sail saw shield shoe
    spoon stove sword table tent thimble torch trumpet umbrella violin wagon wheel whistle"""
)
NATURE = listed(
    """bay beach brook canyon cave cliff cloud creek dawn desert dune field flame fog forest frost
    garden glacier harbour hill island lake marsh meadow moon mountain ocean peak pond rain reef
    river shadow shore sky snow spring star stone storm stream sun thunder tide valley waterfall
    wave wind winter wood"""
)
TEST_NOUNS = listed(
    """acorn beacon bishop cactus castle comet crown dancer engine fiddle fountain giraffe goblet
    hermit hornet iceberg juniper kettledrum lagoon lobster magnet marble orchid oyster panther
    pebble pelican pilgrim pumpkin quarry rocket sapphire satchel scholar spruce tortoise tower
    trellis velvet vulture walrus willow windmill wizard zebra"""
)
COLOURS = listed("red green blue yellow purple orange brown black white gray pink crimson violet")
TRADES = listed(
    """actor baker banker barber brewer builder butcher carpenter clerk cobbler cook cooper doctor
    farmer fisher gardener glazier hunter jeweller judge lawyer mason miller miner nurse painter
    pilot plumber porter potter printer sailor shepherd smith soldier tailor tanner teacher thatcher
    waiter weaver"""
)
CITIES = listed(
    """Amsterdam|Athens|Baghdad|Barcelona|Berlin|Bogota|Boston|Brussels|Budapest|Cairo|Calcutta|
    Chicago|Copenhagen|Damascus|Delhi|Denver|Dublin|Edinburgh|Florence|Geneva|Hamburg|Havana|
    Helsinki|Istanbul|Jakarta|Kyoto|Lagos|Lima|Lisbon|Liverpool|London|Madrid|Manila|Melbourne|
    Milan|Montreal|Moscow|Mumbai|Munich|Nairobi|Naples|New York|Oslo|Oxford|Paris|Prague|Quebec|
    Rome|San Francisco|Santiago|Seoul|Shanghai|Stockholm|Sydney|Tehran|Tokyo|Toronto|Tunis|Turin|
    Venice|Vienna|Warsaw|York|Zurich""",
    "|",
)
FIRST_NAMES = listed(
    """Ada Agnes Albert Alice Amos Anna Arthur Beatrice Bernard Celia Charles Clara Daniel Dora
    Edith Edmund Eleanor Emil Esther Felix Flora Frances Frank George Grace Harold Hector Helen
    Henry Hugo Ida Irene Isaac Jacob Jane Jasper Joan Joseph Julia Karl Laura Leo Louis Lucy Mabel
    Marcus Maria Martha Martin Maud Miles Nora Olive Oscar Paul Percy Philip Rachel Ralph Robert
    Rosa Ruth Samuel Sarah Silas Simon Sophia Stella Susan Theodore Thomas Ursula Victor Walter
    William"""
)
ONSETS = listed("b br ch d dr f fl g gr h j k kl l m n p pr r s sh st t tr v w y z")
VOWELS = listed("a e i o u ai ei ou")
CODAS = listed("d k l m n r s t x nd rn sk ld")
PLACE_ENDS = listed("wick ford ham ton bury dale mouth bridge stead minster field haven")
MONTHS = listed(
    "January February March April May June July August September October November December"
)
COUNTS = listed("three four five six seven eight nine ten eleven twelve twenty thirty forty fifty")
VESSELS = listed("barrels baskets boxes crates sacks jars bundles chests cartloads casks")
ACTIVITIES = listed(
    "climb the old tower|eat a sandwich|sit in the park|feed the ducks|hire a small boat|"
    "walk along the wall|listen to the organ|buy warm chestnuts|visit the fish market|"
    "watch the ferries|ride the night tram|sketch the harbour|taste the plum cake|"
    "count the chimneys|ring the town bell|swim in the river|play chess with strangers|"
    "borrow a bicycle|read the stone tablets|follow the marching band",
    "|",
)
MOMENTS = listed(
    "on a sunny day|before breakfast|at low tide|after the rain|on market day|in late autumn|"
    "by candle light|when the fog lifts|on a Sunday morning|at the stroke of noon",
    "|",
)
VERBS = listed("carries follows guards hides paints envies greets mends sells fears borrows weighs")
TRAIN_NOUNS = ANIMALS + FOODS + OBJECTS + NATURE
WORDS = TRAIN_NOUNS + ADJECTIVES
# What a label map can tell apart: the classes share no word.
CATEGORIES = {
    "animal": ANIMALS,
    "food": FOODS,
    "object": OBJECTS,
    "nature": NATURE,
    "trade": TRADES,
    "city": CITIES,
    "name": FIRST_NAMES,
    "month": MONTHS,
}

_THINGS = ("pair", "triple", "name")
_MAGIC_Q = (
    "What is the special magic {t} for {{key}}?",
    "Which special magic {t} goes with {{key}}?",
)


def _magic(kind: str, value: str) -> Template:
    """Return the RULER family of one type of value."""
    return Template(
        f"magic_{kind}",
        (*_THINGS, "id"),
        value,
        (
            f"The special magic {kind} for {{key}} is {{value}}.",
            f"One of the special magic {kind}s for {{key}} is: {{value}}.",
            f"Remember that {{key}} has the special magic {kind} {{value}}.",
        ),
        (
            *(q.format(t=kind) for q in _MAGIC_Q),
            f"What is the special magic {kind} for {{key}} mentioned in the provided text?",
        ),
        (f"What are all the special magic {kind}s for {{key}} mentioned in the provided text?",),
    )


TRAIN_TEMPLATES = (
    _magic("number", "number"),
    _magic("word", "words"),
    _magic("uuid", "uuid"),
    Template(
        "access_code", ("place", "pair", "id"), "code",
        ("The access code of {key} is {value}.", "To enter {key}, type {value}.",
         "Anyone can unlock {key} with the code {value}."),
        ("What is the access code of {key}?", "Which code unlocks {key}?",
         "What must be typed to enter {key}?"),
        ("What are all the access codes of {key}?", "List every code that unlocks {key}."),
    ),
    Template(
        "telephone", ("person",), "number",
        ("The telephone number of {key} is {value}.", "{key} can be called at {value}.",
         "Please dial {value} to speak to {key}."),
        ("What is the telephone number of {key}?", "At which number can {key} be called?",
         "What do I dial to speak to {key}?"),
        ("What are all the telephone numbers of {key}?",),
    ),
    Template(
        "birthplace", ("person",), "city",
        ("{key} was born in {value}.", "The birthplace of {key} is {value}.",
         "It was in {value} that {key} came into the world."),
        ("Where was {key} born?", "What is the birthplace of {key}?",
         "In which city did {key} come into the world?"),
    ),
    Template(
        "trade", ("person", "name"), "trade",
        ("{key} earns a living as {value}.", "By trade, {key} is {value}.",
         "Everyone knows that {key} works as {value}."),
        ("What is the trade of {key}?", "What does {key} do for a living?",
         "As what does {key} work?"),
    ),
    Template(
        "founding", ("place",), "date",
        ("The town of {key} was founded on {value}.", "{key} has stood since {value}.",
         "On {value} the first stone of {key} was laid."),
        ("When was {key} founded?", "Since when has {key} stood?",
         "On what date was the first stone of {key} laid?"),
    ),
    Template(
        "cargo", ("name", "pair", "id"), "cargo",
        ("The ship {key} carries {value}.", "Aboard the {key} there are {value}.",
         "The hold of the {key} was filled with {value}."),
        ("What does the ship {key} carry?", "What is aboard the {key}?",
         "With what was the hold of the {key} filled?"),
        ("What are all the goods aboard {key}?",),
    ),
    Template(
        "advice", ("place",), "activity",
        ("The advice that {key} gives to strangers is to {value}.", "In {key} they say: {value}.",
         "At {key} no guest leaves before they {value}."),
        ("What is the advice that {key} gives to strangers?", "What do they say in {key}?",
         "What does every guest do at {key} before leaving?"),
    ),
    Template(
        "password", ("person", "id", "name"), "words",
        ("The password of {key} is {value}.", "{key} uses the password {value}.",
         "Whisper the words {value} to be trusted by {key}."),
        ("What is the password of {key}?", "Which password does {key} use?",
         "Which words must be whispered to {key}?"),
        ("What are all the passwords of {key}?",),
    ),
    Template(
        "meaning", ("name",), "word",
        ("In the old tongue {key} means {value}.", "The ancient word {key} stands for {value}.",
         "They say {key} where we would say {value}."),
        ("What does {key} mean in the old tongue?", "What does the ancient word {key} stand for?",
         "What would we say for {key}?"),
        ("What are all the meanings of {key} in the old tongue?",),
    ),
    Template(
        "parcel", ("id", "digits"), "thing",
        ("Parcel {key} contains {value}.", "Inside parcel {key} the clerk found {value}.",
         "The label says that parcel {key} is {value}."),
        ("What does parcel {key} contain?", "What did the clerk find inside parcel {key}?",
         "What is parcel {key} according to its label?"),
        ("What are all the things in parcel {key}?",),
    ),
    Template(
        "price", ("pair", "triple", "id"), "number",
        ("The price of {key} is {value} crowns.", "{key} was sold for {value} crowns.",
         "At the auction {key} fetched {value} crowns."),
        ("What is the price of {key} in crowns?", "For how many crowns was {key} sold?",
         "How many crowns did {key} fetch at the auction?"),
        ("What are all the prices of {key} in crowns?",),
    ),
    Template(
        "paint", ("place", "pair"), "colours",
        ("The doors of {key} are painted {value}.", "{key} flies a flag of {value}.",
         "All windows at {key} have shutters in {value}."),
        ("In what colours are the doors of {key} painted?", "What colours has the flag of {key}?",
         "In what colours are the shutters at {key}?"),
    ),
    Template(
        "saying", ("person", "place"), "sentence",
        ('{key} always says: "{value}"', 'The motto of {key} is "{value}"',
         'Carved above the bed of {key} are the words "{value}"'),
        ("What does {key} always say?", "What is the motto of {key}?",
         "Which words are carved above the bed of {key}?"),
    ),
    Template(
        "serial", ("digits", "id", "pair"), "hex",
        ("Machine {key} bears the serial number {value}.", "The checksum of file {key} is {value}.",
         "Record {key} has the hash {value}."),
        ("What serial number does machine {key} bear?", "What is the checksum of file {key}?",
         "What is the hash of record {key}?"),
        ("What are all the serial numbers of {key}?",),
    ),
    Template(
        "table", ("pair", "name", "id", "digits"), "mixed",
        ("{key}: {value}.", "{key} = {value}.", '"{key}": "{value}",', "{key} -> {value}."),
        ("What is the value of {key}?", "What does {key} map to?", "{key}?"),
        ("What are all the values of {key}?",),
    ),
    Template(
        "meeting", ("person", "name"), "date",
        ("I shall meet {key} on {value}.", "The wedding of {key} is set for {value}.",
         "{key} will return on {value}."),
        ("On what date shall I meet {key}?", "For what date is the wedding of {key} set?",
         "When will {key} return?"),
    ),
)  # fmt: skip
TEST_TEMPLATES = (
    Template(
        "city_number", ("city", "place"), "number",
        ("The special magic {key} number is: {value}.", "The secret {key} figure is: {value}."),
        ("What is the special magic {key} number?", "What is the secret {key} figure?"),
        ("What are all the special magic {key} numbers?",),
    ),
    Template(
        "sandwich", ("city", "place"), "outing",
        ("The best thing to do in {key} is {value}.", "Nothing in {key} beats this: {value}."),
        ("What is the best thing to do in {key}?", "What does nothing in {key} beat?"),
    ),
    Template(
        "museum", ("id", "pair"), "person",
        ("Exhibit {key} was given to the museum by {value}.", "The museum owes {key} to {value}."),
        ("Who gave exhibit {key} to the museum?", "To whom does the museum owe {key}?"),
        ("Who are all the donors of exhibit {key}?",),
    ),
    Template(
        "countersign", ("person", "name"), "words",
        ("The countersign agreed with {key} was {value}.", "Sentries let {key} pass upon {value}."),
        ("Which countersign was agreed with {key}?", "Upon what do sentries let {key} pass?"),
        ("What are all the countersigns agreed with {key}?",),
    ),
    Template(
        "orchard", ("place", "person"), "number",
        ("The estate of {key} counts {value} apple trees.",
         "Surveyors found {value} elms at {key}."),
        ("How many apple trees does the estate of {key} count?",
         "How many elms did surveyors find at {key}?"),
    ),
    Template(
        "locker", ("pair", "triple", "digits"), "code",
        ("Locker {key} springs open for {value}.", "Engraved on the safe {key} is {value}."),
        ("For what does locker {key} spring open?", "What is engraved on the safe {key}?"),
        ("For what sequences does locker {key} spring open?",),
    ),
    Template(
        "patent", ("id", "digits"), "person",
        ("Patent {key} credits {value}.", "It was {value} who filed patent {key}."),
        ("Whom does patent {key} credit?", "Who filed patent {key}?"),
        ("Whom do all entries on patent {key} credit?",),
    ),
    Template(
        "asteroid", ("name", "pair"), "number",
        ("The asteroid {key} circles the sun in {value} hours.",
         "Astronomers clocked {key} at {value} hours."),
        ("In how many hours does the asteroid {key} circle the sun?",
         "At how many hours did astronomers clock {key}?"),
    ),
    Template(
        "tattoo", ("person",), "words",
        ("A tattoo on the arm of {key} shows {value}.", "Inked upon {key} one finds {value}."),
        ("What does the tattoo on the arm of {key} show?", "What does one find inked upon {key}?"),
        ("What do all tattoos of {key} show?",),
    ),
    Template(
        "vintage", ("place",), "date",
        ("The oldest vintage of {key} was bottled on {value}.",
         "They uncorked the last wine from {key} on {value}."),
        ("When was the oldest vintage of {key} bottled?",
         "On what date did they uncork the last wine from {key}?"),
    ),
)  # fmt: skip
