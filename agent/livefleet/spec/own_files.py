"""The folder that holds `deploys/`, `inventory/`, `profiles/`: a checkout's top, or the copy that came with a wheel."""

from pathlib import Path

__all__ = ["is_fleet_folder", "own_fleet_folder", "own_profiles"]

_PACKAGE = Path(__file__).resolve().parents[1]


def is_fleet_folder(folder: Path) -> bool:
    """Whether deploys can be run from there."""
    return (folder / "deploys/run.py").is_file() and (folder / "inventory/fleet.py").is_file()


def own_fleet_folder() -> Path | None:
    """The copy that an installed wheel carries, else the checkout that this package runs from. None on a host."""
    return next((folder for folder in _places() if is_fleet_folder(folder)), None)


def own_profiles() -> Path:
    """The profiles that come with this package; on a host they are not there."""
    found = (folder / "profiles" for folder in _places())
    return next((folder for folder in found if folder.is_dir()), _places()[-1] / "profiles")


def _places() -> tuple[Path, Path]:
    return _PACKAGE / "_fleet", _PACKAGE.parents[1]
