"""What stands below the fields of a model in its source: the documentation of each.

pydantic's `use_attribute_docstrings` reads it while each class is made. That took a third of the time in which an agent
or a command starts, for what only the schema and the explanation of a mistake show.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel

__all__ = ["attribute_docs"]


def attribute_docs(model: type[BaseModel]) -> Mapping[str, str]:
    """The documentation of the model's fields, inherited ones included; nothing where the source is not at hand."""
    kinds = [kind for kind in reversed(model.__mro__) if issubclass(kind, BaseModel) and kind is not BaseModel]
    return {name: text for kind in kinds for name, text in _own_docs(_written(kind)).items()}


def _written(kind: type[BaseModel]) -> type[BaseModel]:
    """`Known` of `Known[int]`, which stands in no source."""
    return kind.__pydantic_generic_metadata__["origin"] or kind


def _own_docs(kind: type[BaseModel]) -> Mapping[str, str]:
    return _docs_of_module(kind.__module__).get(kind.__qualname__, {})


@cache
def _docs_of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    """By class and by field."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError):  # no file, or a module of no file
        return {}
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return {node.name: dict(_documented(node)) for node in classes}


def _documented(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(node.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
