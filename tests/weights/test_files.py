"""Weight files: what is saved is opened again, and what is no weight file says what it is."""

import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from cyclorama.models.autoencoder import AUTOENCODERS, Autoencoder
from cyclorama.models.dit import DITS, DiT
from cyclorama.weights.files import (
    checksum_of,
    facts_as_text,
    load_weights,
    mean_weights,
    save_weights,
    start_from_weights,
)

MODELS = {"autoencoder": (Autoencoder, AUTOENCODERS["tiny"]), "maker": (DiT, DITS["tiny"])}


@pytest.fixture(params=MODELS)
def kind(request):
    return request.param


@pytest.fixture
def model(kind, shaken):
    model_class, config = MODELS[kind]
    model = shaken(model_class(config))
    for name, buffer in model.named_buffers():
        buffer.copy_(torch.rand(buffer.shape) + (name == "latent_scale"))
    return model


def test_saved_is_opened_again(tmp_path, kind, model):
    path = tmp_path / "deep" / "a.safetensors"
    checksum = save_weights(path, model, kind=kind, facts={"hours": "3"})
    opened = load_weights(path, kind=kind)
    assert opened.kind == kind
    assert opened.facts == {"hours": "3"}
    assert opened.checksum == checksum == checksum_of(path)
    assert checksum == hashlib.sha256(path.read_bytes()).hexdigest()
    assert opened.model.config == model.config
    assert not opened.model.training
    for name, value in model.state_dict().items():
        found = opened.model.state_dict()[name]
        assert found.dtype == torch.float32
        kept = value if value.ndim < 2 or name.startswith("latent_") else value.bfloat16().float()
        assert torch.equal(found, kept), name


def test_saved_twice_is_the_same_file_byte_for_byte(tmp_path, kind, model):
    facts = {name: name * 3 for name in "zyxwvutsr"}
    one = save_weights(tmp_path / "a.safetensors", model, kind=kind, facts=facts)
    opened = load_weights(tmp_path / "a.safetensors")
    backwards = dict(reversed(opened.facts.items()))
    two = save_weights(tmp_path / "b.safetensors", opened.model, kind=kind, facts=backwards)
    assert one == two
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.safetensors", "b.safetensors"]


def test_matrices_take_two_bytes_a_number(tmp_path, kind, model):
    path = tmp_path / "a.safetensors"
    save_weights(path, model, kind=kind, facts={})
    num_parameters = sum(p.numel() for p in model.parameters())
    assert path.stat().st_size < 2.3 * num_parameters + 10_000
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["config"]) == model.config.model_dump(mode="json")


def test_in_bytes_a_matrix_is_off_by_half_a_step_of_its_row(tmp_path, kind, model):
    path = tmp_path / "a.safetensors"
    assert save_weights(path, model, kind=kind, facts={}, in_bytes=1) == checksum_of(path)
    num_parameters = sum(p.numel() for p in model.parameters())
    plain = save_weights(tmp_path / "b.safetensors", model, kind=kind, facts={})
    assert path.stat().st_size < (tmp_path / "b.safetensors").stat().st_size
    assert path.stat().st_size < 1.5 * num_parameters + 30_000
    assert plain != checksum_of(path)
    opened, rounded = load_weights(path, kind=kind).model.state_dict(), 0
    for name, value in model.state_dict().items():
        if value.ndim < 2 or name.startswith("latent_"):
            assert torch.equal(opened[name], value), name
            continue
        step = value.abs().amax(dim=-1, keepdim=True) / 127
        assert ((opened[name] - value).abs() <= 0.501 * step).all(), name
        rounded += int((opened[name] != value).sum())
    assert rounded > 0.5 * num_parameters


def test_only_large_matrices_are_in_bytes(tmp_path, kind, model):
    path = tmp_path / "a.safetensors"
    matrices = {n: t for n, t in model.state_dict().items() if t.ndim > 1}
    size = sorted(t.numel() for t in matrices.values())[len(matrices) // 2]
    save_weights(path, model, kind=kind, facts={}, in_bytes=size)
    with safe_open(path, framework="pt") as file:
        found = {n: file.get_tensor(n) for n in matrices}
    in_bytes = {n for n, t in found.items() if t.dtype == torch.int8}
    large = {n for n, t in matrices.items() if t.numel() >= size}
    assert in_bytes == {name for name in large if not name.startswith("latent_")}
    assert 0 < len(in_bytes) < len(matrices)


def test_another_kind_is_refused(tmp_path, kind, model):
    path = tmp_path / "a.safetensors"
    save_weights(path, model, kind=kind, facts={})
    other = next(k for k in MODELS if k != kind)
    with pytest.raises(ValueError, match=f"holds {kind}, needed: {other}"):
        load_weights(path, kind=other)
    with pytest.raises(ValueError, match="unknown kind of model 'lion'"):
        save_weights(path, model, kind="lion", facts={})


def test_what_is_no_weight_file_says_so(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match="there is no weight file"):
        load_weights(path)
    path.write_bytes(b"no weights at all")
    with pytest.raises(ValueError, match="is no safetensors file"):
        load_weights(path)
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="weights of another project, needed: maker"):
        load_weights(path, kind="maker")


def test_a_torn_file_says_so(tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(path, DiT(DITS["tiny"]), kind="maker", facts={})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is no safetensors file"):
        load_weights(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, facts: tensors.pop("video_in.weight"),
        lambda tensors, facts: tensors.update(extra=torch.zeros(1)),
        lambda tensors, facts: tensors.update({"video_in.weight": torch.zeros(2, 2)}),
        lambda tensors, facts: facts.pop("config"),
        lambda tensors, facts: facts.update(config='{"sides": 3}'),
    ],
    ids=["one missing", "one too many", "another size", "no config", "another config"],
)
def test_weights_of_another_version_say_so(tmp_path, change):
    path = tmp_path / "a.safetensors"
    save_weights(path, DiT(DITS["tiny"]), kind="maker", facts={})
    with safe_open(path, framework="pt") as file:
        facts = dict(file.metadata())
    tensors = load_file(path)
    change(tensors, facts)
    save_file(tensors, path, metadata=facts)
    with pytest.raises(ValueError, match="does not fit this version of 'maker'"):
        load_weights(path)


def test_a_run_goes_on_from_weights_of_its_own_sizes(tmp_path, kind, model):
    path = tmp_path / "a.safetensors"
    save_weights(path, model, kind=kind, facts={})
    model_class, config = MODELS[kind]
    fresh = model_class(config)
    assert start_from_weights(fresh, str(path), kind=kind) == ""
    for name, value in load_weights(path).model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)
    with pytest.raises(ValueError, match=f"holds {kind}, needed: probe"):
        start_from_weights(fresh, str(path), kind="probe")


def test_a_new_head_starts_fresh_on_blocks_that_go_on(tmp_path, shaken):
    path = tmp_path / "a.safetensors"
    plain = DITS["tiny"].model_copy(update={"detail_depth": 0})
    save_weights(path, shaken(DiT(plain)), kind="maker", facts={})
    old = load_weights(path).model.state_dict()
    model = DiT(DITS["tiny"])
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    unlike = start_from_weights(model, str(path), kind="maker")
    new = [name for name in fresh if name.startswith("detail.")]
    assert unlike == (
        f"new to the model: {', '.join(new)}; "
        "left out of the weights: video_out.bias, video_out.weight"
    )
    for name, value in model.state_dict().items():
        assert torch.equal(value, fresh[name] if name in new else old[name]), name


@pytest.mark.parametrize(
    ("changes", "tensor"),
    [({"vocabulary": 64}, r"embed_text\.weight"), ({"detail_width": 64}, r"detail\.\S+")],
)
def test_parts_of_another_size_are_named(tmp_path, shaken, changes, tensor):
    path = tmp_path / "a.safetensors"
    save_weights(path, shaken(DiT(DITS["tiny"])), kind="maker", facts={})
    model = DiT(DITS["tiny"].model_copy(update=changes))
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=f"other sizes than this run, first of them {tensor};"):
        start_from_weights(model, str(path), kind="maker")
    assert all(torch.equal(value, fresh[name]) for name, value in model.state_dict().items())


def test_facts_are_text():
    facts = facts_as_text({"name": "x", "run": {"b": [1, 2], "a": None}, "hours": 2.5})
    assert facts == {"name": "x", "run": '{"a": null, "b": [1, 2]}', "hours": "2.5"}


def test_a_mean_is_the_mean_of_every_weight_and_names_its_parts(tmp_path, kind, model):
    one, other = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    save_weights(one, model, kind=kind, facts={})
    before = load_weights(one).model.state_dict()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    save_weights(other, model, kind=kind, facts={})
    after = load_weights(other).model.state_dict()
    mean = tmp_path / "mean.safetensors"
    mean_weights(mean, {str(one): 0.75, str(other): 0.25}, kind=kind)
    found = load_weights(mean)
    for name, value in found.model.state_dict().items():
        wanted = 0.75 * before[name].float() + 0.25 * after[name].float()
        torch.testing.assert_close(value.float(), wanted, rtol=1e-2, atol=1e-2)
    shares = {checksum_of(one): 0.75, checksum_of(other): 0.25}
    assert json.loads(found.facts["mean_of"]) == shares


@pytest.mark.parametrize("shares", [{}, {"reader": 0.5}, {"reader": 0.7, "probe": 0.3}])
def test_a_mean_of_what_does_not_belong_together_is_refused(tmp_path, shares):
    with pytest.raises(ValueError, match=r"add up|holds probe"):
        mean_weights(tmp_path / "mean.safetensors", shares, kind="reader")
    assert not list(tmp_path.iterdir())
