"""The whole story at tiny size: render, learn to see, learn to make, make, write, read again."""

import pytest

from cyclorama.inference.video import VideoRequest, generate, load_maker, request_facts
from cyclorama.media.video import read_video, write_video
from cyclorama.models.autoencoder import AUTOENCODERS
from cyclorama.models.dit import DITS
from cyclorama.recipes import autoencoder, maker
from cyclorama.recipes.data import DataConfig, open_data
from cyclorama.record import read_jsonl
from cyclorama.training.loop import LoopConfig


def test_the_whole_story(tmp_path):
    pytest.importorskip("mujoco", reason="pip install 'cyclorama[worlds]'")
    said = []
    data = DataConfig(
        num_clips=6, num_workers=0, sizes={"5x32x32": 0.5, "5x32x48": 0.3, "9x32x32": 0.2}
    )
    source = open_data("worlds", data, directory=tmp_path / "worlds", report=said.append)
    assert len(source) == 6
    assert all(source[index].captions["short"] for index in range(6))

    loop = LoopConfig(num_steps=10, log_every=1)
    seen = autoencoder.run(
        autoencoder.AutoencoderRun(
            model=AUTOENCODERS["tiny"], data=data, budget_pixels=2 * 9 * 32 * 32, loop=loop
        ),
        source,
        directory=tmp_path / "autoencoder",
        report=said.append,
        compiled=False,
    )
    made = maker.run(
        maker.MakerRun(model=DITS["tiny"], data=data, autoencoder=str(seen), loop=loop),
        source,
        directory=tmp_path / "maker",
        report=said.append,
        compiled=False,
    )
    for name in ("autoencoder", "maker"):
        assert len(read_jsonl(tmp_path / name / "metrics.jsonl")) == 10

    opened = load_maker(str(made), str(seen))
    request = VideoRequest(
        source[0].captions["short"], width=48, height=32, num_frames=9, num_steps=4, num_variants=2
    )
    clips = generate(request, opened)
    assert clips.shape == (2, 9, 32, 48, 3)
    path = tmp_path / "clip.mp4"
    write_video(path, clips[0], rate_fps=8, metadata=request_facts(request, opened))
    assert read_video(path).frames.shape == clips[0].shape
