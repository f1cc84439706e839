"""A request makes one clip: equal seeds equal bytes, every knob turns, nothing black comes out."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from cyclorama.data.prompt import MAX_PROMPT_TOKENS
from cyclorama.inference.video import (
    MAX_SEED,
    Maker,
    VideoRequest,
    check_request,
    decode_clips,
    generate,
    load_maker,
    request_facts,
    sample_latents,
    unknown_words,
)
from cyclorama.models.autoencoder import AUTOENCODERS, Autoencoder
from cyclorama.models.dit import DITS, DiT
from cyclorama.weights.files import save_weights

REQUEST = VideoRequest(
    "a red ball rolls left", width=48, height=32, num_frames=5, num_steps=3, seed=5
)
# For each field another value that must change the clip.
TURNED = {
    "prompt": "a blue cube stands still",
    "width": 32,
    "height": 48,
    "num_frames": 9,
    "rate_fps": 12.0,
    "seed": 6,
    "num_variants": 2,
    "num_steps": 4,
    "guidance": 4.0,
    "sampler": "euler",
}


def make_maker(shaken, **facts):
    torch.manual_seed(0)
    return Maker(
        shaken(DiT(DITS["tiny"])), shaken(Autoencoder(AUTOENCODERS["tiny"])), "c" * 64, **facts
    )


@pytest.fixture(scope="module")
def maker(shaken):
    return make_maker(shaken)


@pytest.fixture(scope="module")
def clip(maker):
    return generate(REQUEST, maker)


def test_the_clip_has_the_size_asked_for(clip):
    assert clip.shape == (1, 5, 32, 48, 3)
    assert clip.dtype == np.uint8
    assert clip.std() > 10


def test_the_same_request_gives_the_same_bytes(maker, clip):
    torch.manual_seed(99)  # no global state takes part
    assert np.array_equal(generate(REQUEST, maker), clip)


def test_variants_are_the_seeds_that_follow(maker, clip):
    # Rows of other lengths take other kernels: equal up to rounding.
    variants = generate(replace(REQUEST, num_variants=3), maker)
    assert len(variants) == 3
    for number, variant in enumerate(variants):
        alone = generate(replace(REQUEST, seed=5 + number), maker)[0]
        assert np.abs(variant.astype(int) - alone).max() <= 1
    assert np.abs(variants[0].astype(int) - variants[1]).mean() > 5
    assert np.abs(variants[0].astype(int) - clip[0]).max() <= 1


def test_requests_share_a_row_without_seeing_each_other(maker):
    other = replace(REQUEST, prompt="two green cones", seed=77)
    together = sample_latents([REQUEST, replace(other, num_variants=2)], maker)
    alone = [sample_latents([r], maker)[0] for r in (REQUEST, other)]
    assert [len(latents) for latents in together] == [1, 2]
    torch.testing.assert_close(together[0], alone[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together[1][:1], alone[1], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="must share steps, guidance and sampler"):
        sample_latents([REQUEST, replace(REQUEST, num_steps=4)], maker)


def test_every_field_has_a_value_to_turn_to():
    assert set(TURNED) == {field.name for field in fields(VideoRequest)}


@pytest.mark.parametrize("name", TURNED)
def test_every_knob_changes_the_clip(maker, clip, name):
    turned = generate(replace(REQUEST, **{name: TURNED[name]}), maker)
    if turned.shape == clip.shape:
        assert np.abs(turned.astype(int) - clip).max() > 1
    else:
        assert name in ("width", "height", "num_frames", "num_variants")


def test_without_guidance_the_prompt_is_read_once_a_step(maker):
    lengths = []
    hook = maker.dit.register_forward_pre_hook(lambda model, args: lengths.append(len(args[0])))
    try:
        generate(replace(REQUEST, guidance=1.0), maker)
        single = list(lengths)
        lengths.clear()
        generate(replace(REQUEST, guidance=3.0), maker)
    finally:
        hook.remove()
    num_tokens = 2 * 2 * 3
    assert single == [num_tokens] * 3
    assert lengths == [2 * num_tokens] * 3


def test_each_step_shows_the_clean_clip_foreseen(maker):
    shown = []
    latents = sample_latents(
        [replace(REQUEST, num_steps=6)],
        maker,
        on_step=lambda done, total, x: shown.append((done, total, x)),
    )[0]
    assert [(done, total) for done, total, _ in shown] == [(n, 6) for n in range(1, 7)]
    assert all(x.shape == latents[0].shape for _, _, x in shown)
    assert torch.equal(shown[-1][2], latents[0])
    # At the first step x is pure noise: what is foreseen there is the network's own answer.
    with torch.no_grad():
        euler = sample_latents([replace(REQUEST, num_steps=1)], maker)[0][0]
    torch.testing.assert_close(shown[0][2], euler, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("sampler", ["euler", "heun", "multistep"])
@pytest.mark.parametrize("num_steps", [1, 60])
def test_a_network_that_is_sure_is_followed_to_the_end(shaken, sampler, num_steps):
    # Foreseeing the same clip at all times makes every path straight: no noise may stay in it.
    torch.manual_seed(0)
    headless = DITS["tiny"].model_copy(update={"detail_depth": 0})
    sure = Maker(DiT(headless), Autoencoder(AUTOENCODERS["tiny"]), "c" * 64)
    with torch.no_grad():
        sure.dit.video_out.bias.copy_(torch.linspace(-1, 1, 32))
    request = replace(REQUEST, sampler=sampler, num_steps=num_steps, num_frames=1, width=32)
    tokens = sample_latents([request], sure)[0][0].reshape(2, 2, 2, 2, 8).permute(0, 2, 1, 3, 4)
    expected = torch.linspace(-1, 1, 32).expand(4, 32)
    torch.testing.assert_close(tokens.reshape(4, 32), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 50}, "the nearest is 48x32 with 5 frames"),
        ({"height": 24}, "the nearest is 48x32 with 5 frames"),
        ({"num_frames": 7}, r"frames 1 \+ a multiple of 4; the nearest is 48x32 with 9 frames"),
        ({"num_frames": 0}, "at least one frame"),
        ({"num_variants": 0}, "num must be at least 1, got 0"),
        ({"num_steps": 0}, "steps must be at least 1, got 0"),
        ({"sampler": "magic"}, "no sampler 'magic': have euler, heun, multistep"),
        ({"rate_fps": 0.0}, "fps must be above 0"),
        ({"rate_fps": float("nan")}, "fps must be above 0"),
        ({"rate_fps": float("inf")}, "fps must be above 0"),
        ({"guidance": -1.0}, "guidance must be a number from 0 on"),
        ({"guidance": float("nan")}, "guidance must be a number from 0 on"),
        ({"seed": -1}, "seeds must lie in"),
        ({"seed": MAX_SEED}, "seeds must lie in"),
        ({"prompt": "  "}, "the prompt is empty"),
        ({"prompt": "lion " * 200}, f"{MAX_PROMPT_TOKENS} tokens or more"),
    ],
)
def test_what_cannot_be_names_the_remedy(maker, wrong, message):
    with pytest.raises(ValueError, match=message):
        generate(replace(REQUEST, **wrong), maker)


def test_the_longest_prompt_is_not_cut(maker):
    words = ["ball"]
    while True:
        try:
            check_request(replace(REQUEST, prompt=" ".join([*words, "ball"])), maker)
        except ValueError:
            break
        words.append("ball")
    request = replace(REQUEST, prompt=" ".join(words))
    shorter = replace(REQUEST, prompt=" ".join([*words[:-1], "cube"]))
    assert not np.array_equal(generate(request, maker), generate(shorter, maker))


@pytest.mark.parametrize("part", ["dit", "autoencoder"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_weights_are_an_error_not_a_black_clip(shaken, part, value):
    maker = make_maker(shaken)
    head = maker.dit.detail.out if part == "dit" else maker.autoencoder.to_pixels.rest
    with torch.no_grad():
        head.bias[0] = value
    with pytest.raises(RuntimeError, match="not finite"):
        generate(REQUEST, maker)


def test_long_clips_are_decoded_in_parts_to_the_same_pixels(maker):
    latents = torch.randn(1, 19, 2, 2, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = maker.autoencoder.decode(maker.autoencoder.denormalise(latents))
    whole = ((whole.clamp(-1, 1) + 1) * 127.5).round().numpy()
    parts = decode_clips(latents, maker)
    assert parts.shape == (1, 73, 16, 16, 3)
    assert np.abs(parts.astype(int) - whole).max() <= 1


def test_large_clips_are_decoded_in_tiles(maker):
    latents = torch.zeros(1, 1, 100, 4, 8)
    clip = decode_clips(latents, maker)
    assert clip.shape == (1, 1, 800, 32, 3)


def test_words_never_seen(shaken):
    maker = make_maker(shaken, words=frozenset(["a", "red", "ball"]))
    assert unknown_words("A red LION, a ball and a lion.", maker) == ["lion", "and"]
    assert unknown_words("a red ball", maker) == []
    assert unknown_words("a lion", make_maker(shaken)) == []  # the weights do not say


def test_facts_are_enough_to_make_the_clip_again(maker, clip):
    facts = request_facts(REQUEST, maker)
    width, height = map(int, facts["size"].split("x"))
    again = VideoRequest(
        facts["prompt"],
        width=width,
        height=height,
        num_frames=facts["num_frames"],
        rate_fps=facts["rate_fps"],
        seed=facts["seed"],
        num_steps=facts["steps"],
        guidance=facts["guidance"],
        sampler=facts["sampler"],
    )
    assert np.array_equal(generate(again, maker), clip)
    assert facts["weights_sha256"] == maker.checksum


def save(folder, maker, **facts):
    checksum = save_weights(
        folder / "a.safetensors", maker.autoencoder, kind="autoencoder", facts={}
    )
    save_weights(
        folder / "m.safetensors",
        maker.dit,
        kind="maker",
        facts={"autoencoder": checksum, "words": "a ball", **facts},
    )
    return str(folder / "m.safetensors"), str(folder / "a.safetensors")


def test_a_maker_is_opened_with_its_autoencoder(tmp_path, shaken):
    paths = save(tmp_path, make_maker(shaken))
    maker = load_maker(*paths)
    assert maker.words == {"a", "ball"}
    assert load_maker(*paths) is maker  # kept
    assert generate(REQUEST, maker).shape == (1, 5, 32, 48, 3)
    save(tmp_path, make_maker(shaken), words="a lion")
    assert load_maker(*paths).words == {"a", "lion"}  # until the file changes


def test_another_autoencoder_is_refused(tmp_path, shaken):
    weights, _ = save(tmp_path, make_maker(shaken))
    other = tmp_path / "other.safetensors"
    save_weights(other, Autoencoder(AUTOENCODERS["tiny"]), kind="autoencoder", facts={})
    with pytest.raises(ValueError, match="was trained with the autoencoder"):
        load_maker(weights, str(other))
    with pytest.raises(ValueError, match="holds autoencoder, needed: maker"):
        load_maker(str(other), str(other))
