"""Modules imported when something of theirs is first used: a node has the packages of its duties and no more."""

import importlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

__all__ = ["late", "late_names", "load"]


def late(name: str, *, then: Callable[[], None] = lambda: None) -> Any:
    """A stand-in for a module: its names are the module's, which is imported at the first of them; `then` follows.

    Written where an import would stand, with the import itself for type checkers beside it. What was used once costs
    no more than an attribute. The first use raises ModuleNotFoundError where the package is not installed.
    """
    return _Late(name, then)


def load(*stand_ins: Any) -> None:
    """Import now what these stand for: a process that will use it has it before its loop serves anyone."""
    for stand_in in stand_ins:
        if isinstance(stand_in, _Late):
            stand_in._import()  # noqa: SLF001 -- a public name of its own would hide the module's


def late_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__` (PEP 562): public names by the module that has them, imported when one is asked for."""

    def name_of(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    return name_of


class _Late:
    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name = name
        self._then = then

    def __repr__(self) -> str:
        return f"<late module {self._name}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # who only looks at what this is must not import it
            raise AttributeError(name)
        value = getattr(self._import(), name)
        self.__dict__[name] = value
        return value

    def _import(self) -> ModuleType:
        module = importlib.import_module(self._name)
        self._then()
        return module
