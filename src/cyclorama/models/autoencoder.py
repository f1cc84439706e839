"""The video autoencoder: pixels to spacetime latents and back, a transformer on both sides.

The picture in words: a clip is cut into bricks of ``space x space`` pixels and ``time`` frames
(the first frame is a brick layer of its own, so an image is a video of one frame). Each brick is
one token. A shallow encoder and a deeper decoder mix tokens within one latent frame and with the
latent frame before it: attention is bidirectional inside a frame group and causal across groups
("chunk-causal", DC-AE-V, arXiv 2509.25182), with a window of two. So the same weights take any
length in constant memory: feed one frame group at a time and hand on each layer's last keys and
values. Small encoder, large decoder follows ViTok (arXiv 2501.09755).

Both sides carry a linear path beside the transformer, started from the principal components of
bricks: before the first step the model already equals the best linear code, and training can only
add to it. What is left out on purpose: a perceptual network (it would be a download) and a GAN.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from cyclorama.config import Config
from cyclorama.nn.attention import short_attention
from cyclorama.nn.mlp import SwiGLU
from cyclorama.nn.norm import RMSNorm
from cyclorama.nn.rope import axial_angles, rotate
from cyclorama.shapes import Compression, VideoShape, latent_shape


class AutoencoderConfig(Config):
    """Sizes of the autoencoder; ``space``, ``time`` and ``channels`` set the compression."""

    space: int = 8
    time: int = 4
    channels: int = 32
    encoder_width: int = 256
    encoder_depth: int = 2
    decoder_width: int = 256
    decoder_depth: int = 6
    head_size: int = 64

    @property
    def compression(self) -> Compression:
        """Pixels to a latent, and its channels."""
        return Compression(self.space, self.time, self.channels)


class PastFrame(NamedTuple):
    """One layer's keys and values of the last latent frame seen: (B, N, S, K) each."""

    keys: Tensor
    values: Tensor


Past = list[PastFrame]


def spatial_rotation(height: int, width: int, *, head_size: int) -> tuple[Tensor, Tensor]:
    """Return cos and sin of shape (height * width, head_size / 2) for a grid of bricks."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    positions = torch.stack((rows, columns), dim=-1).reshape(-1, 2).double()
    angles = axial_angles(
        positions, head_size=head_size, max_period=(64.0, 64.0), min_period=(4.0, 4.0)
    )
    return angles.cos(), angles.sin()


class FrameAttention(nn.Module):
    """Attention of every latent frame over itself and the frame before it."""

    def __init__(self, width: int, head_size: int) -> None:
        super().__init__()
        self.head_size = head_size
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm_q, self.norm_k = RMSNorm(head_size), RMSNorm(head_size)
        # Marks keys as belonging to the frame before; stands in for a rotary phase in time, and
        # needs no absolute time, so that streaming is exact.
        self.before = nn.Parameter(torch.zeros(width // head_size, 1, head_size))

    def forward(
        self,
        x_BTSD: Float[Tensor, "B T S D"],
        rotation: tuple[Tensor, Tensor],
        *,
        past: PastFrame | None,
    ) -> tuple[Float[Tensor, "B T S D"], PastFrame]:
        """Return the mixed frames, and the last frame's keys and values for what follows."""
        q, k, v = rearrange(
            self.qkv(x_BTSD), "B T S (three N K) -> three B T N S K", three=3, K=self.head_size
        )
        cos, sin = (part.to(q.dtype) for part in rotation)
        q = rotate(self.norm_q(q), cos=cos, sin=sin)
        k = rotate(self.norm_k(k), cos=cos, sin=sin)
        before = self.before.to(k.dtype)
        outs = []
        if past is None:
            outs.append(_attend(q[:, :1], k[:, :1], v[:, :1]))
            q = q[:, 1:]
            k_before, v_before, k_own, v_own = k[:, :-1], v[:, :-1], k[:, 1:], v[:, 1:]
        else:
            k_before = torch.cat((past.keys[:, None], k[:, :-1]), dim=1)
            v_before = torch.cat((past.values[:, None], v[:, :-1]), dim=1)
            k_own, v_own = k, v
        if q.shape[1]:
            keys = torch.cat((k_before + before, k_own), dim=-2)
            outs.append(_attend(q, keys, torch.cat((v_before, v_own), dim=-2)))
        mixed = torch.cat(outs, dim=1)
        return self.out(mixed), PastFrame(k[:, -1], v[:, -1])


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend within each (B, T) pair; heads are folded back into the width."""
    _, num_frames, num_heads = q.shape[:3]
    q, k, v = (rearrange(x, "B T N S K -> (B T N) S K") for x in (q, k, v))
    mixed = short_attention(q, k, v_BSK=v)
    return rearrange(mixed, "(B T N) S K -> B T S (N K)", T=num_frames, N=num_heads)


class Block(nn.Module):
    """Pre-norm attention and SwiGLU, both residual."""

    def __init__(self, width: int, head_size: int) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = RMSNorm(width), RMSNorm(width)
        self.attention, self.mlp = FrameAttention(width, head_size), SwiGLU(width)

    def forward(
        self, x: Tensor, rotation: tuple[Tensor, Tensor], *, past: PastFrame | None
    ) -> tuple[Tensor, PastFrame]:
        """Return the frames after this block, and what the next call needs as ``past``."""
        mixed, past = self.attention(self.norm_attention(x), rotation, past=past)
        x = x + mixed
        return x + self.mlp(self.norm_mlp(x)), past


class FirstOrRest(nn.Module):
    """Two linear maps: one for the bricks of the first frame, one for all later bricks."""

    def __init__(self, first: tuple[int, int], rest: tuple[int, int]) -> None:
        super().__init__()
        self.first, self.rest = nn.Linear(*first), nn.Linear(*rest)

    def forward(self, parts: dict[str, Tensor]) -> Tensor:
        """Map each part with its own matrix and lay the results one after the other in time."""
        return torch.cat([getattr(self, part)(x) for part, x in parts.items()], dim=1)


def divide(x_BTSD: Tensor, *, begins: bool) -> dict[str, Tensor]:
    """Divide latent frames into "first" (if the stream begins here) and "rest"; none is empty."""
    parts = {"first": x_BTSD[:, :1], "rest": x_BTSD[:, 1:]} if begins else {"rest": x_BTSD}
    return {part: x for part, x in parts.items() if x.shape[1]}


def cut_bricks(
    video: Float[Tensor, "B T H W 3"], compression: Compression, *, begins: bool
) -> dict[str, Float[Tensor, "B _ S _"]]:
    """Cut a clip (or its continuation) into flat bricks of the first frame and of the rest."""
    first, rest = (video[:, :1], video[:, 1:]) if begins else (video[:, :0], video)
    bricks = {}
    for part, frames, time in (("first", first, 1), ("rest", rest, compression.time)):
        if frames.shape[1]:
            bricks[part] = rearrange(
                frames,
                "B (t p) (h a) (w b) c -> B t (h w) (p a b c)",
                p=time,
                a=compression.space,
                b=compression.space,
            )
    return bricks


def _check_part(video: Tensor, compression: Compression, *, begins: bool) -> None:
    num_frames, height, width = video.shape[1:4]
    if not num_frames or (num_frames - begins) % compression.time:
        raise ValueError(
            f"cannot {'begin' if begins else 'continue'} a stream with {num_frames} frames: give "
            f"{'1 + ' if begins else ''}a multiple of {compression.time}"
        )
    if height % compression.space or width % compression.space:
        raise ValueError(
            f"cannot encode frames of {height}x{width} (rows x columns): sides must be multiples "
            f"of {compression.space}"
        )


def lay_bricks(
    bricks: dict[str, Float[Tensor, "B _ S _"]], compression: Compression, *, height: int
) -> Float[Tensor, "B T H W 3"]:
    """Undo `cut_bricks`; ``height`` is the number of rows of bricks."""
    space = compression.space
    return torch.cat(
        [
            rearrange(
                flat,
                "B t (h w) (p a b c) -> B (t p) (h a) (w b) c",
                h=height,
                p=1 if part == "first" else compression.time,
                a=space,
                b=space,
                c=3,
            )
            for part, flat in bricks.items()
        ],
        dim=1,
    )


class Autoencoder(nn.Module):
    """Encode clips to latents and decode latents to clips.

    Pixels are float in [-1, 1] of shape (B, T, H, W, 3) with T = 1 + time * k; latents are
    (B, t, h, w, C). `normalise` and `denormalise` map latents to and from the scale on which the
    generator works.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        first, rest = 3 * config.space**2, 3 * config.space**2 * config.time
        channels, enc, dec = config.channels, config.encoder_width, config.decoder_width
        self.embed = FirstOrRest((first, enc), (rest, enc))
        self.encoder = nn.ModuleList(
            Block(enc, config.head_size) for _ in range(config.encoder_depth)
        )
        self.norm_encoder = RMSNorm(enc)
        self.to_latent = FirstOrRest((enc, channels), (enc, channels))
        self.linear_to_latent = FirstOrRest((first, channels), (rest, channels))
        self.from_latent = FirstOrRest((channels, dec), (channels, dec))
        self.decoder = nn.ModuleList(
            Block(dec, config.head_size) for _ in range(config.decoder_depth)
        )
        self.norm_decoder = RMSNorm(dec)
        self.to_pixels = FirstOrRest((dec, first), (dec, rest))
        self.linear_to_pixels = FirstOrRest((channels, first), (channels, rest))
        # Row 0: statistics of the first latent frame; row 1: of all later ones.
        self.register_buffer("latent_mean", torch.zeros(2, channels))
        self.register_buffer("latent_scale", torch.ones(2, channels))
        self.initialise()

    @property
    def compression(self) -> Compression:
        """Pixels to a latent, and its channels."""
        return self.config.compression

    @torch.no_grad()
    def initialise(self) -> None:
        """Start with small residual branches, and with the transformer's corrections at zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for blocks in (self.encoder, self.decoder):
            for block in blocks:
                for out in (block.attention.out, block.mlp.down):
                    out.weight.mul_((2 * len(blocks)) ** -0.5)
        for head in (self.to_latent, self.to_pixels):
            nn.init.zeros_(head.first.weight)
            nn.init.zeros_(head.rest.weight)

    @torch.no_grad()
    def start_from_components(self, part: str, *, mean: Tensor, basis: Tensor) -> None:
        """Set the linear path of ``part`` ("first" or "rest") to principal components.

        Args:
            part: which bricks the components describe.
            mean: (P,) mean brick.
            basis: (P, channels) orthonormal columns, strongest first.
        """
        into, out = getattr(self.linear_to_latent, part), getattr(self.linear_to_pixels, part)
        into.weight.copy_(basis.T)
        into.bias.copy_(-(mean @ basis))
        out.weight.copy_(basis)
        out.bias.copy_(mean)

    def encode(self, video: Float[Tensor, "B T H W 3"]) -> Float[Tensor, "B t h w C"]:
        """Return the latents of whole clips."""
        shape = VideoShape(*video.shape[1:4])
        latent_shape(shape, self.compression)  # raises for a clip that does not fit
        return self.encode_part(video, past=None)[0]

    def decode(self, latents: Float[Tensor, "B t h w C"]) -> Float[Tensor, "B T H W 3"]:
        """Return the clips of latents; values may overshoot [-1, 1] slightly: clamp to show."""
        return self.decode_part(latents, past=None)[0]

    def encode_part(
        self, video: Float[Tensor, "B T H W 3"], *, past: Past | None
    ) -> tuple[Float[Tensor, "B t h w C"], Past]:
        """Encode the next frames of a stream.

        Without a ``past`` the frames begin a clip (1 + time * k of them); with one they continue
        it (time * k). The parts' latents, laid one after the other, equal the whole clip's.
        """
        begins, height = past is None, video.shape[2] // self.config.space
        _check_part(video, self.compression, begins=begins)
        bricks = cut_bricks(video, self.compression, begins=begins)
        x, past = self._run(
            self.encoder, self.embed(bricks), (height, video.shape[3] // self.config.space), past
        )
        learned = self.to_latent(divide(self.norm_encoder(x), begins=begins))
        latents = self.linear_to_latent(bricks) + learned
        return rearrange(latents, "B t (h w) C -> B t h w C", h=height), past

    def decode_part(
        self, latents: Float[Tensor, "B t h w C"], *, past: Past | None
    ) -> tuple[Float[Tensor, "B T H W 3"], Past]:
        """Decode the next latent frames of a stream; see `encode_part`."""
        begins, (height, width) = past is None, latents.shape[2:4]
        z = divide(rearrange(latents, "B t h w C -> B t (h w) C"), begins=begins)
        x, past = self._run(self.decoder, self.from_latent(z), (height, width), past)
        hidden = divide(self.norm_decoder(x), begins=begins)
        bricks = {
            part: getattr(self.linear_to_pixels, part)(z[part])
            + getattr(self.to_pixels, part)(hidden[part])
            for part in z
        }
        return lay_bricks(bricks, self.compression, height=height), past

    def _run(
        self, blocks: nn.ModuleList, x: Tensor, grid: tuple[int, int], past: Past | None
    ) -> tuple[Tensor, Past]:
        rotation = tuple(
            part.to(x.device) for part in spatial_rotation(*grid, head_size=self.config.head_size)
        )
        kept: Past = []
        for number, block in enumerate(blocks):
            x, last = block(x, rotation, past=past[number] if past else None)
            kept.append(last)
        return x, kept

    def normalise(self, latents: Float[Tensor, "B t h w C"]) -> Float[Tensor, "B t h w C"]:
        """Map latents to the generator's scale; the first latent frame has its own statistics."""
        row = (torch.arange(latents.shape[1], device=latents.device) > 0).long()
        mean, scale = self.latent_mean[row], self.latent_scale[row]
        return (latents - mean[:, None, None]) / scale[:, None, None]

    def denormalise(self, latents: Float[Tensor, "B t h w C"]) -> Float[Tensor, "B t h w C"]:
        """Undo `normalise`."""
        row = (torch.arange(latents.shape[1], device=latents.device) > 0).long()
        mean, scale = self.latent_mean[row], self.latent_scale[row]
        return latents * scale[:, None, None] + mean[:, None, None]


def principal_components(bricks: Float[Tensor, "n P"], channels: int) -> tuple[Tensor, Tensor]:
    """Return the mean brick (P,) and the strongest ``channels`` components (P, channels)."""
    bricks = bricks.double()
    mean = bricks.mean(dim=0)
    centred = bricks - mean
    _, vectors = torch.linalg.eigh(centred.T @ centred / len(bricks))  # ascending
    return mean.float(), vectors.flip(-1)[:, :channels].float()


AUTOENCODERS = {
    "tiny": AutoencoderConfig(
        channels=8,
        encoder_width=32,
        encoder_depth=1,
        decoder_width=32,
        decoder_depth=1,
        head_size=16,
    ),
    "nano": AutoencoderConfig(),
    "base": AutoencoderConfig(
        encoder_width=384, encoder_depth=4, decoder_width=512, decoder_depth=12
    ),
}
