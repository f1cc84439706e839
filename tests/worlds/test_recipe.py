"""Recipes: a promise kept, splits that exclude one another, JSON without loss."""

import hashlib
import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclorama.worlds.looks import COLOURS, SHAPES
from cyclorama.worlds.recipe import (
    DOMAINS,
    FULL,
    SPLITS,
    STAGE,
    draft,
    pair_held_out,
    recipe_from_json,
    recipe_hash,
    recipe_to_json,
    recipes,
    sample_recipe,
    split_of,
    traits,
)

TESTS = [split for split in SPLITS if split.startswith("test_")]


def drafts(domain, count, twist=""):
    """Return the drafts of the first seeds that have room."""
    made = (draft(seed, domain, twist=twist) for seed in range(count))
    return [recipe for recipe in made if recipe is not None]


def test_the_stage_keeps_its_recipes():
    """Caches, and figures measured on a split, are of these seeds: a change must be meant."""
    digest = hashlib.sha256()
    for twist in ("", "test_pair", "test_fast", "test_cam"):
        for recipe in drafts(STAGE, 100, twist):
            digest.update(recipe_to_json(recipe).encode())
    assert digest.hexdigest()[:16] == "dc6ffd581f0ca6d1"


@given(st.integers(0, 10**9), st.sampled_from(sorted(DOMAINS)), st.sampled_from(["", *TESTS]))
def test_json_round_trip(seed, name, twist):
    if twist == "test_template" and name != "full":
        return
    recipe = draft(seed, DOMAINS[name], twist=twist)
    if recipe is not None:
        again = recipe_from_json(recipe_to_json(recipe))
        assert again == recipe
        assert hash(again) == hash(recipe)
        assert recipe_hash(again) == recipe_hash(recipe)


def test_bad_json_is_refused():
    with pytest.raises(ValueError, match="not a recipe"):
        recipe_from_json('{"seed": 1}')
    with pytest.raises(ValueError, match="not a recipe"):
        recipe_from_json("nonsense")


def test_hash_is_of_the_scene_not_of_the_seed():
    recipe = drafts(STAGE, 5)[0]
    assert recipe_hash(replace(recipe, seed=99, domain="other")) == recipe_hash(recipe)
    assert recipe_hash(replace(recipe, floor="grassy")) != recipe_hash(recipe)


@pytest.mark.parametrize("domain", [STAGE, FULL], ids=lambda domain: domain.name)
@pytest.mark.parametrize("split", TESTS)
def test_splits_exclude_one_another(domain, split):
    if split == "test_template" and domain is STAGE:
        pytest.skip("the stage has no held-out families")
    # Four large objects seldom find room on the stage: of 60 drafts about one does.
    made = drafts(domain, 300 if (split, domain) == ("test_count", STAGE) else 40, twist=split)
    # Nearly all have just the peculiarity that was asked for; the others belong nowhere.
    assert sum(traits(recipe) == (split,) for recipe in made) >= 2
    for recipe in made:
        assert split_of(recipe) in (split, "mixed", "train", "val_id")
        assert (split_of(recipe) == split) == (traits(recipe) == (split,))


@pytest.mark.parametrize("domain", [STAGE, FULL], ids=lambda domain: domain.name)
def test_training_has_nothing_held_out(domain):
    made = drafts(domain, 400)
    assert {split_of(recipe) for recipe in made} == {"train", "val_id"}
    assert 0.02 < sum(split_of(recipe) == "val_id" for recipe in made) / len(made) < 0.1
    for recipe in made:
        assert not traits(recipe)
        assert not any(pair_held_out(body.colour, body.shape) for body in recipe.bodies)
        pairs = [(body.colour, body.shape) for body in recipe.bodies]
        assert len(pairs) == len(set(pairs))


def test_every_other_pair_is_trained_on():
    seen = {(b.colour, b.shape) for recipe in drafts(STAGE, 400) for b in recipe.bodies}
    wanted = {(c, s) for c in STAGE.colours for s in STAGE.shapes if not pair_held_out(c, s)}
    assert seen == wanted
    assert len(wanted) == 28


def test_held_out_pairs_are_a_latin_square():
    held = [(c, s) for c, s in itertools.product(list(COLOURS)[:8], SHAPES) if pair_held_out(c, s)]
    assert len({colour for colour, _ in held}) == len(held) == len(SHAPES)
    assert {shape for _, shape in held} == set(SHAPES)


def test_families_of_full_are_all_drawn():
    names = {recipe.family for recipe in drafts(FULL, 200)}
    assert names == {name for name, weight in FULL.families if weight > 0}
    assert len(names) == 13
    held = {recipe.family for recipe in drafts(FULL, 40, "test_template")}
    assert held == {"contain", "link"}


def test_recipes_are_of_the_split_and_the_same_again():
    first = list(itertools.islice(recipes("val_id", domain=STAGE, start=40), 2))
    assert [split_of(recipe) for recipe in first] == ["val_id", "val_id"]
    assert list(itertools.islice(recipes("val_id", domain=STAGE, start=40), 2)) == first
    assert next(recipes("val_id", domain=STAGE, start=first[0].seed + 1)) == first[1]
    assert sample_recipe(7, STAGE) == sample_recipe(7, STAGE)


def test_unknown_splits_are_refused():
    with pytest.raises(ValueError, match="choose one of train"):
        next(recipes("tests", domain=STAGE))
    with pytest.raises(ValueError, match="use 'full'"):
        next(recipes("test_template", domain=STAGE))
