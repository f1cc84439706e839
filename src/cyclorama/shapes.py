"""The alphabet of axes, and the conversions between pixels, latents, tokens and seconds.

One alphabet serves the whole project: ``B`` batch, ``T`` frames, ``H W`` rows and columns,
``C`` channels, ``L`` tokens, ``D`` width, ``N`` heads, ``K`` head size, ``E`` experts,
``V`` vocabulary, ``S`` cached tokens.

A clip has three sizes, and each is a type of its own so that they cannot be mixed up: pixels
(`VideoShape`), what the autoencoder makes of them (`LatentShape`), and what the diffusion
transformer sees (`TokenGrid`). The first latent frame holds one video frame and every further
one holds ``compression.time`` of them, so that an image is a video of one frame and legal
lengths are 1 + 4k (for a time compression of four). No other file divides by a patch size.
"""

import math
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Compression:
    """How many pixels one latent stands for, along each axis, and its channels.

    ``f8t4c32`` in the field's shorthand is ``Compression(space=8, time=4, channels=32)``.
    """

    space: int
    time: int
    channels: int

    def __str__(self) -> str:
        return f"f{self.space}t{self.time}c{self.channels}"


@dataclass(frozen=True)
class VideoShape:
    """Frames, rows and columns of a clip in pixels."""

    num_frames: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.num_frames, self.height, self.width) < 1:
            raise ValueError(f"a video needs at least one frame, row and column, got {self}")

    def __str__(self) -> str:
        return f"{self.num_frames}x{self.height}x{self.width}"

    def duration_s(self, rate_fps: float) -> float:
        """Seconds from the first frame's instant to the last one's, plus one frame's."""
        return self.num_frames / rate_fps


@dataclass(frozen=True)
class LatentShape:
    """Frames, rows and columns of a clip's latent."""

    num_frames: int
    height: int
    width: int


@dataclass(frozen=True)
class TokenGrid:
    """Frames, rows and columns of tokens in the diffusion transformer."""

    num_frames: int
    height: int
    width: int

    @property
    def num_tokens(self) -> int:
        """Tokens in the whole grid."""
        return self.num_frames * self.height * self.width


def latent_shape(video: VideoShape, compression: Compression) -> LatentShape:
    """Return the latent shape of a clip; a clip that does not fit is a ValueError.

    The message names the nearest legal size, since that is what the caller wants next.
    """
    space, time = compression.space, compression.time
    if (video.num_frames - 1) % time or video.height % space or video.width % space:
        near = nearest_video_shape(video, compression, patch=1)
        raise ValueError(
            f"a clip of {video} (frames x rows x columns) does not fit {compression}: frames must "
            f"be 1 + a multiple of {time}, sides multiples of {space}; the nearest is {near}"
        )
    return LatentShape(
        1 + (video.num_frames - 1) // time, video.height // space, video.width // space
    )


def video_shape(latent: LatentShape, compression: Compression) -> VideoShape:
    """Return the clip that a latent decodes to."""
    return VideoShape(
        1 + (latent.num_frames - 1) * compression.time,
        latent.height * compression.space,
        latent.width * compression.space,
    )


def token_grid(latent: LatentShape, patch: int) -> TokenGrid:
    """Return the grid of ``patch`` x ``patch`` latent patches; sides must divide evenly."""
    if latent.height % patch or latent.width % patch:
        raise ValueError(
            f"a latent of {latent.height}x{latent.width} cannot be cut into patches of {patch}: "
            f"choose sides that are multiples of {patch}"
        )
    return TokenGrid(latent.num_frames, latent.height // patch, latent.width // patch)


def nearest_video_shape(wish: VideoShape, compression: Compression, *, patch: int) -> VideoShape:
    """Return the legal clip nearest to a wish, for error messages and for resizing."""
    side = compression.space * patch

    def nearest(value: int, step: int) -> int:
        return max(step, round(value / step) * step)

    num_groups = max(0, round((wish.num_frames - 1) / compression.time))
    return VideoShape(
        1 + num_groups * compression.time, nearest(wish.height, side), nearest(wish.width, side)
    )


def check_video_shape(wish: VideoShape, compression: Compression, *, patch: int) -> None:
    """Raise a ValueError that names the nearest legal clip unless the wish is legal itself."""
    near = nearest_video_shape(wish, compression, patch=patch)
    if near != wish:
        raise ValueError(
            f"cannot make {wish.width}x{wish.height} with {wish.num_frames} frames: sides must be "
            f"multiples of {compression.space * patch} and frames 1 + a multiple of "
            f"{compression.time}; the nearest is {near.width}x{near.height} with "
            f"{near.num_frames} frames"
        )


def frames_for_duration(duration_s: float, *, rate_fps: float, compression: Compression) -> int:
    """Return the legal number of frames whose last instant is nearest to ``duration_s``.

    Frames stand at instants 0, 1/rate, ...; the clip of 2 s at 8 fps has frames at 0 s and at
    2 s and so 17 of them: the 1 of 1 + 4k is the starting instant.
    """
    if not (duration_s >= 0 and rate_fps > 0):
        raise ValueError(f"need duration >= 0 s and rate > 0 fps, got {duration_s}, {rate_fps}")
    groups = round(
        Fraction(duration_s).limit_denominator(10**6)
        * Fraction(rate_fps).limit_denominator(10**6)
        / compression.time
    )
    return 1 + groups * compression.time


# What the reader sees and hears: a token is a square of pixels of one frame, or 40 ms of sound.
FRAME_TOKEN_PX, MAX_FRAME_TOKENS = 16, 16
SOUND_RATE_HZ, SOUND_TOKENS_PER_S = 16_000, 25


def frame_grid(height: int, width: int) -> TokenGrid:
    """Return the grid of 9 to 16 tokens whose aspect is nearest to that of a picture.

    Among equally near ones the finest is taken: 4x4 for a square, 3x5 for 16:9.
    """
    if min(height, width) < 1:
        raise ValueError(f"a picture needs at least one row and column, got {height}x{width}")
    grids = [
        TokenGrid(1, rows, columns)
        for rows in range(1, MAX_FRAME_TOKENS + 1)
        for columns in range(1, MAX_FRAME_TOKENS // rows + 1)
        if rows * columns > MAX_FRAME_TOKENS // 2
    ]

    def unlike(grid: TokenGrid) -> tuple[float, int]:
        return (abs(math.log(grid.width * height / (grid.height * width))), -grid.num_tokens)

    return min(grids, key=unlike)


def frame_size(grid: TokenGrid) -> tuple[int, int]:
    """Return rows and columns of the pixels that a frame of such a grid is scaled to."""
    return grid.height * FRAME_TOKEN_PX, grid.width * FRAME_TOKEN_PX


def grid_of_frames(num_frames: int, size: tuple[int, int]) -> TokenGrid:
    """Return the tokens of frames of (rows, columns); ValueError when a side does not divide."""
    height, width = size
    if height % FRAME_TOKEN_PX or width % FRAME_TOKEN_PX:
        raise ValueError(
            f"frames of {height}x{width} are not of whole tokens: scale them to a size that "
            f"frame_size gives, sides being multiples of {FRAME_TOKEN_PX}"
        )
    return TokenGrid(num_frames, height // FRAME_TOKEN_PX, width // FRAME_TOKEN_PX)
