from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from livefleet.spec import SpecError
from livefleet.spec.document import parse_document, read_document

pytestmark = pytest.mark.unit


def refused(text: str) -> list[str]:
    try:
        found = parse_document(text, "f.yaml").problems
    except SpecError as error:
        found = error.problems
    assert found, "nothing was refused"
    return [str(problem) for problem in found]


def test_parse__values__keep_their_place() -> None:
    document = parse_document("a:\n  b: [1, two]\n  c: {d: x}\n", "f.yaml")
    assert document.data == {"a": {"b": [1, "two"], "c": {"d": "x"}}}
    a = document.place.children["a"]
    b, d = a.children["b"], a.children["c"].children["d"]
    assert (a.key_line, a.key_column) == (1, 1)
    assert (b.line, b.column, b.key_line, b.key_column) == (2, 6, 2, 3)
    assert (b.children[1].line, b.children[1].column) == (2, 10)
    assert (d.line, d.column) == (3, 10)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e12", 1e12),
        ("'12'", "12"),
        ("true", True),
        ("yes", "yes"),
        ("null", None),
        ("~", None),
        ("1200 wei", "1200 wei"),
        ("0x5FbDB2315678afecb367f032d93F642f64180aa3", "0x5FbDB2315678afecb367f032d93F642f64180aa3"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
    ],
)
def test_parse__plain_scalar__has_its_yaml_value(text: str, value: object) -> None:
    parsed = parse_document(f"k: {text}", "f.yaml").data["k"]
    assert parsed == value
    assert type(parsed) is type(value)


def test_parse__keys__are_text_as_written() -> None:
    assert parse_document("1: a\ntrue: b\n0x10: c\n", "f.yaml").data == {"1": "a", "true": "b", "0x10": "c"}


def test_parse__duplicate_keys__are_all_told() -> None:
    assert refused("a: 1\nb: {c: 1, c: 2}\na: 3\n") == [
        "f.yaml:2:11: key `c` is given twice; first on line 2",
        "f.yaml:3:1: key `a` is given twice; first on line 1",
    ]


def test_parse__duplicate_host__is_called_a_host() -> None:
    assert refused("hosts:\n  gpu-1: {a: 1}\n  gpu-1: {a: 2}\n") == [
        "f.yaml:3:3: host `gpu-1` is declared twice; first on line 2"
    ]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: &x 1\n", "f.yaml:1:4: anchor `&x`"),
        ("a: *x\n", "f.yaml:1:4: alias `*x`"),
        ("a: {<<: {b: 1}}\n", "f.yaml:1:5: merge key `<<`"),
        ("a: !!python/none x\n", "f.yaml:1:4: tag "),
        ("a: !vault x\n", "f.yaml:1:4: tag `!vault`"),
        ("? [a, b]\n: c\n", "f.yaml:1:3: a key must be plain text"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document"),
        ("a: b: c\n", "f.yaml:1:5: not YAML: mapping values are not allowed here; quote"),
        ("a:\n\tb: c\n", "f.yaml:2:1: not YAML:"),
        ("a: [1, 2\nb: 3\n", "f.yaml:2:"),
        ("a: {b: 1\n", "f.yaml:2:1: not YAML:"),
        ("a: 'x\n", "f.yaml:2:1: not YAML:"),
        ("a: x\n  b: y\n", "f.yaml:2:4: not YAML: mapping values"),
        ("a: 1\nb: \x07\n", "f.yaml:2:4: unprintable character U+0007"),
        ("a: " + "[" * 60, "f.yaml:1:43: nested deeper than 40 levels"),
    ],
)
def test_parse__outside_the_subset__is_refused_where_it_stands(text: str, where: str) -> None:
    told = refused(text)
    assert any(line.startswith(where) for line in told), told


def test_parse__tab__hint_says_spaces() -> None:
    assert refused("a:\n\tb: c\n")[0].endswith("indent with spaces; YAML does not allow tabs there")


def test_parse__syntax_error_after_a_duplicate__tells_both() -> None:
    assert len(refused("a: 1\na: 2\nb: ]\n")) == 2


def test_read__not_utf_8__says_where(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(SpecError, match=r"f\.yaml:2:4: is not UTF-8 text"):
        read_document(file)


def test_read__no_such_file__says_so(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none.yaml:1:1: cannot be read: No such file"):
        read_document(tmp_path / "none.yaml")


def test_read__byte_order_mark__is_fine(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_document(file).data == {"a": 1}


_TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=12)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT.filter(lambda k: k != "<<"), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_TEXT.filter(lambda k: k != "<<"), _VALUES, max_size=4))
def test_parse__what_ruamel_wrote__is_read_as_ruamel_reads_it(data: dict[str, object]) -> None:
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    out = StringIO()
    writer.dump(data, out)
    assert parse_document(out.getvalue(), "f.yaml").data == data
