"""From a recipe's name to a run: config, record, data, training, weights.

Engine clips are rendered once, beside the run's folder, under a name that says which clips they
are, so that the autoencoder's and the generator's runs share them.
"""

from pathlib import Path

from cyclorama.cli import show


def run_recipe(recipe: str, *, data: str, directory: Path, settings: list[str]) -> Path:
    """Run or resume a recipe and return the path of its weights."""
    from cyclorama.config import override
    from cyclorama.recipes import autoencoder, maker
    from cyclorama.recipes.data import open_data
    from cyclorama.record import start_record

    recipes = {
        "autoencoder": (autoencoder.AutoencoderRun, autoencoder.run),
        "maker": (maker.MakerRun, maker.run),
    }
    if recipe not in recipes:
        raise ValueError(f"no recipe {recipe!r}: there are {', '.join(recipes)}")
    make_config, run = recipes[recipe]
    config = override(make_config(), settings)
    start_record(
        directory,
        config,
        name=recipe,
        seeds={"loop": config.loop.seed},
        device="cpu",
        extra={"data": data},
    )
    report = show.console().print
    clips = directory.parent / f"worlds-{config.data.digest()}"
    source = open_data(data, config.data, directory=clips, report=report)
    return run(config, source, directory=directory, report=report)
