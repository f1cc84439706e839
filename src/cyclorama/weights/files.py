"""A weight file: safetensors with the model's kind and configuration inside.

One file is all there is: which class, which sizes, what it was trained on and with what. Weights
are stored in bfloat16 (half the bytes; the loss in quality is below what any figure here shows), or
large matrices in whole numbers of one byte with a scale for each row (Dettmers et al. 2022,
"LLM.int8()", arXiv 2208.07339), and opened in float32. Only safetensors is read or written: no file
here can run code.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from cyclorama.config import Config
from cyclorama.models.autoencoder import Autoencoder, AutoencoderConfig
from cyclorama.models.dit import DiT, DiTConfig
from cyclorama.models.lm import LM, LMConfig
from cyclorama.models.probe import Probe, ProbeConfig
from cyclorama.weights.catalogue import find_weights

# Which class and which configuration a file's "kind" stands for.
KINDS: dict[str, tuple[Callable[..., nn.Module], type[Config]]] = {
    "autoencoder": (Autoencoder, AutoencoderConfig),
    "maker": (DiT, DiTConfig),
    "probe": (Probe, ProbeConfig),
    "reader": (LM, LMConfig),
}
ROW_SCALE = ".row_scale"


@dataclass(frozen=True, eq=False)
class Weights:
    """An opened weight file: the model in float32, evaluation mode, and its facts."""

    model: nn.Module
    kind: str
    facts: dict[str, str]
    checksum: str


def save_weights(
    path: Path,
    model: nn.Module,
    *,
    kind: str,
    facts: dict[str, str],
    in_bytes: int | None = None,
) -> str:
    """Write a model's weights, configuration and ``facts`` atomically; return the checksum.

    Matrices take two bytes a number; those of ``in_bytes`` numbers or more take one.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of model {kind!r}: have {', '.join(KINDS)}")
    tensors: dict[str, torch.Tensor] = {}
    for name, t in model.state_dict().items():
        if not t.is_floating_point() or t.ndim < 2 or name.startswith("latent_"):
            tensors[name] = t.contiguous()
        elif in_bytes is not None and t.numel() >= in_bytes:
            tensors[name], tensors[name + ROW_SCALE] = _bytes_of(t)
        else:
            tensors[name] = t.to(torch.bfloat16).contiguous()
    metadata = {**facts, "kind": kind, "config": model.config.to_json()}
    path.parent.mkdir(parents=True, exist_ok=True)
    payload = _canonical(save(tensors, metadata=metadata))
    aside = path.with_suffix(".partial")
    aside.write_bytes(payload)
    aside.replace(path)
    return hashlib.sha256(payload).hexdigest()


def _bytes_of(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return whole numbers int8 and the scale of each row, float32 (..., 1)."""
    scale = (weight.float().abs().amax(dim=-1, keepdim=True) / 127).clamp(min=1e-30)
    return (weight.float() / scale).round().to(torch.int8), scale


def _canonical(payload: bytes) -> bytes:
    """Return the same file with its facts in order.

    The library writes them in the order of a hash table, another in each process; the same
    weights must have the same checksum, since a generator is tied to its autoencoder by it.
    """
    size = int.from_bytes(payload[:8], "little")
    header = json.loads(payload[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + payload[8 + size :]


def checksum_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_weights(path: Path, *, kind: str | None = None) -> Weights:
    """Open a weight file; ``kind`` says which model the caller needs.

    Raises ValueError when the file is missing, no weight file of this project, another kind, or
    made by a version whose model had other parts.
    """
    tensors, metadata = _opened(path, kind)
    found = metadata.pop("kind")
    model_class, config_class = KINDS[found]
    try:
        model = model_class(config_class.from_json(metadata.pop("config")))
        model.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} does not fit this version of {found!r}: make it again, or take the version "
            f"of cyclorama that made it ({error})"
        ) from None
    return Weights(model.eval(), found, metadata, checksum_of(path))


def _opened(path: Path, kind: str | None) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return a file's tensors, float32, and its facts; ValueError as in `load_weights`."""
    if not path.is_file():
        raise ValueError(f"there is no weight file {path}: give a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from None
    found = metadata.get("kind")
    if found not in KINDS or (kind is not None and found != kind):
        raise ValueError(
            f"{path} holds {found or 'weights of another project'}, needed: {kind or 'any'} "
            f"(kinds: {', '.join(KINDS)})"
        )
    for name in [name for name in tensors if name.endswith(ROW_SCALE)]:
        tensors[name.removesuffix(ROW_SCALE)] *= tensors.pop(name)
    return tensors, metadata


def start_from_weights(model: nn.Module, name_or_path: str, *, kind: str) -> str:
    """Copy bundled or other weights into ``model``, in place; return in words what did not match.

    The model may have parts that the weights lack (a head added later), and the other way round.
    Raises ValueError when a part of both has another size, or nothing is shared: a run that meant
    to go on must not begin anew.
    """
    weights, facts = _opened(find_weights(name_or_path), kind)
    own = model.state_dict()
    other = [n for n in weights if n in own and weights[n].shape != own[n].shape]
    shared = {n: weights[n] for n in weights if n in own}
    if other or not shared:
        raise ValueError(
            f"{name_or_path} has other sizes than this run, first of them "
            f"{(other or list(weights))[0]}; set model.* to those of the weights: "
            f"{facts.get('config')}"
        )
    model.load_state_dict(shared, strict=False)
    new = [name for name in own if name not in shared]
    left = [name for name in weights if name not in shared]
    parts = [f"new to the model: {', '.join(new)}"] if new else []
    parts += [f"left out of the weights: {', '.join(left)}"] if left else []
    return "; ".join(parts)


def mean_weights(
    path: Path, shares: Mapping[str, float], *, kind: str, in_bytes: int | None = None
) -> str:
    """Write the mean of weight files (bundled names or paths), and return the checksum.

    For weights of which one began from the other, or both from a third: their mean often has most
    of what either learned (Wortsman et al. 2022, "Model soups", arXiv 2203.05482). Raises
    ValueError when the shares do not add up to one, or the files have other configurations.
    """
    if not shares or abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(f"shares must add up to 1, got {dict(shares)}")
    parts = {name: load_weights(find_weights(name), kind=kind) for name in shares}
    first, *others = parts.values()
    for name, part in parts.items():
        if part.model.config.to_json() != first.model.config.to_json():
            raise ValueError(f"{name} has another configuration than {next(iter(shares))}")
    mean = {name: t.clone() for name, t in first.model.state_dict().items()}
    for name, t in mean.items():
        if t.is_floating_point():  # what experts count stays the first's
            states = [part.model.state_dict()[name] for part in (first, *others)]
            t.copy_(sum(w * one for w, one in zip(shares.values(), states, strict=True)))
    first.model.load_state_dict(mean)
    told = {
        part.checksum: share for part, share in zip(parts.values(), shares.values(), strict=True)
    }
    facts = facts_as_text({"mean_of": told})
    return save_weights(path, first.model, kind=kind, facts=facts, in_bytes=in_bytes)


def facts_as_text(facts: dict[str, object]) -> dict[str, str]:
    """Return facts with every value as text, as safetensors' metadata wants it."""
    return {k: v if isinstance(v, str) else json.dumps(v, sort_keys=True) for k, v in facts.items()}
