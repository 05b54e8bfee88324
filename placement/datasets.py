"""Where the bundled datasets are: beside the packages in a checkout, inside the package in a wheel."""

from pathlib import Path


class UnknownDatasetError(LookupError):
    """No bundled dataset has this name."""


def datasets_folder() -> Path:
    """The folder that holds `catalog`, `world` and the ready scenarios."""
    package = Path(__file__).resolve().parent
    in_wheel = package / "_datasets"
    return in_wheel if in_wheel.is_dir() else package.parent / "datasets"


def dataset(name: str) -> Path:
    """The folder of one bundled dataset.

    Raises:
        UnknownDatasetError: no dataset is called `name`; the message lists those there are.
    """
    folder = datasets_folder() / name
    if name and folder.parent == datasets_folder() and folder.is_dir():
        return folder
    raise UnknownDatasetError(f"no dataset is called {name!r}; there are: {', '.join(scenario_names())}")


def scenario_names() -> tuple[str, ...]:
    """Names of the datasets that are ready to plan (those with a scenario.toml), sorted."""
    return tuple(sorted(path.parent.name for path in datasets_folder().glob("*/scenario.toml")))
