"""One profile by name, merged with those that it extends, outside of any fleet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from livefleet.kernel import BadInput
from livefleet.spec.assemble import check_profile
from livefleet.spec.explain import Locate, explain
from livefleet.spec.fleet import ProfileLayer
from livefleet.spec.own_files import own_profiles
from livefleet.spec.problem import SpecError, did_you_mean
from livefleet.spec.profile import LayerData, Origin, Origins, ProfileFolders, Trail, merge
from livefleet.spec.profile_chains import ProfileChains

__all__ = ["ResolvedProfile", "profile_names", "resolve_profile"]

_OF_ONE_FILE = ("description", "extends")  # what a profile says of itself alone


@dataclass(frozen=True, slots=True)
class ResolvedProfile:
    """A profile with all that it extends."""

    name: str
    layer: ProfileLayer
    """Merged and checked; `description` and `extends` are its own."""

    chain: tuple[str, ...]
    """Names of the profiles that it is made of, itself first."""

    origins: Origins
    """Where each value was said."""

    data: dict[str, Any]
    """The merged values as they were read, in normal form."""


def profile_names(folders: Sequence[Path] | None = None) -> list[str]:
    """Every profile that could be named. `folders`: best first; None: those that come with livefleet."""
    return ProfileFolders([own_profiles()] if folders is None else folders).names()


def resolve_profile(name: str, folders: Sequence[Path] | None = None) -> ResolvedProfile:
    """The profile of that name. `folders` as above.

    Raises BadInput where there is none, SpecError (with positions) where it or one that it extends is wrong.
    """
    found = ProfileFolders([own_profiles()] if folders is None else folders)
    if found.find(name) is None:
        raise BadInput(f"no profile `{name}`; {did_you_mean(name, found.names()) or 'none is like it'}")
    chains = ProfileChains(found, check_profile)
    layers = chains.layers([(name, Origin("", name, 1, 1))])
    if chains.problems or not layers:
        raise SpecError(chains.problems)
    origins = Origins(layers)
    data = merge(layer.data for layer in layers)
    data = {key: value for key, value in data.items() if key not in _OF_ONE_FILE or key in layers[0].data}
    try:
        merged = ProfileLayer.model_validate(data)
    except ValidationError as error:
        raise SpecError(explain(error, ProfileLayer, data, _locate(origins, layers[0]))) from error
    chain = tuple(layer.name.removeprefix("profile ") for layer in layers)
    return ResolvedProfile(name, merged, chain, origins, data)


def _locate(origins: Origins, top: LayerData) -> Locate:
    def locate(path: Trail, at_key: bool) -> Origin:
        start = Origin(top.name, top.file, top.place.line, top.place.column)
        return origins.nearest(path, at_key=at_key) or start

    return locate
