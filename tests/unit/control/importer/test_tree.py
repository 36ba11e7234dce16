"""Fleet files with remarks."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.control.importer.tree import Line, Tree, plain_tree, put, write_tree
from livefleet.spec.document import parse_document

pytestmark = pytest.mark.unit

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=15)
SCALARS = st.one_of(
    TEXTS, st.integers(0, 10**30), st.booleans(), st.sampled_from(["1", "0x1", "yes", "null", "1e5", "a: b"])
)
ENTRIES = st.lists(st.dictionaries(TEXTS, SCALARS | st.lists(SCALARS, max_size=2), min_size=1, max_size=3), max_size=3)
LINES = st.builds(Line, st.one_of(SCALARS, st.lists(SCALARS, max_size=3), ENTRIES), TEXTS)
TREES = st.recursive(
    st.dictionaries(TEXTS, LINES, max_size=3),
    lambda inner: st.dictionaries(TEXTS, LINES | inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(TREES)
def test_tree__written__reads_back_as_equal(tree: Tree) -> None:
    document = parse_document(write_tree(tree), "f")

    assert document.problems == ()
    assert (document.data or {}) == plain_tree(tree)


def test_put__section__keeps_its_remark_when_it_is_filled() -> None:
    tree: dict[str, Any] = {}
    put(tree, "duties.reward", {}, "-reward")
    put(tree, "duties.reward.max_gas_price", 5, "-maxGasPrice")
    put(tree, "duties.redemption", {})

    assert write_tree(tree, "head\n\nmore") == (
        "# head\n#\n# more\nduties:\n  reward:  # -reward\n    max_gas_price: 5  # -maxGasPrice\n  redemption: {}\n"
    )
