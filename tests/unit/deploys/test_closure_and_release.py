"""Which wheels a node gets, and names made from content."""

import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploys.closure import closure, read_lock, wheels_by_name
from deploys.own_wheel import digest_of_tree

pytestmark = pytest.mark.unit


def a_wheel(folder: Path, name: str, version: str, *requires: str) -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    metadata = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", *(f"Requires-Dist: {r}" for r in requires)])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", metadata)
    return path


def names(wheels: tuple[Path, ...]) -> list[str]:
    return [w.name.split("-")[0] for w in wheels]


def test_closure__follows_extras_and_markers(tmp_path: Path) -> None:
    a_wheel(tmp_path, "web", "1", "core[speed]>=1", 'windows_only; sys_platform == "win32"')
    a_wheel(tmp_path, "core", "1", 'fast; extra == "speed"', 'docs; extra == "docs"', 'old; python_version < "3.11"')
    a_wheel(tmp_path, "fast", "1")
    lock = {"web": "1", "core": "1", "fast": "1"}
    roots = (Requirement('web; extra == "agent"'), Requirement('other; extra == "ai"'))
    reached = closure(roots, frozenset({"agent"}), wheels_by_name(tmp_path, lock), "3.11")
    assert names(reached.wheels) == ["core", "fast", "web"]
    assert reached.missing == ()


def test_closure__wheel_is_absent__is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    a_wheel(tmp_path, "web", "1", "core", "other")
    reached = closure((Requirement("web"),), frozenset(), wheels_by_name(tmp_path, {"web": "1"}), "3.11")
    assert names(reached.wheels) == ["web"]
    assert reached.missing == ("core", "other")


def test_closure__requirements_in_a_circle__come_to_an_end(tmp_path: Path) -> None:
    a_wheel(tmp_path, "a", "1", "b[x]")
    a_wheel(tmp_path, "b", "1", "a", 'c; extra == "x"')
    a_wheel(tmp_path, "c", "1")
    found = wheels_by_name(tmp_path, {"a": "1", "b": "1", "c": "1"})
    assert names(closure((Requirement("a"),), frozenset(), found, "3.11").wheels) == ["a", "b", "c"]


def test_wheels__other_versions_than_the_lock__do_not_count(tmp_path: Path) -> None:
    a_wheel(tmp_path, "a", "1")
    a_wheel(tmp_path, "torch", "2.13.0+cpu")
    found = wheels_by_name(tmp_path, {"a": "2", "torch": "2.13.0"})
    assert list(found) == ["torch"]


def test_lock__names_are_canonical_and_comments_are_not_pins() -> None:
    assert read_lock("# written by run\nruamel.yaml==0.19.1\nPyYAML==6 # why\n\n") == {
        "ruamel-yaml": "0.19.1",
        "pyyaml": "6",
    }


def test_digest__same_content_elsewhere__is_the_same(tmp_path: Path) -> None:
    for place in ("one", "two"):
        folder = tmp_path / place / "livefleet"
        (folder / "__pycache__").mkdir(parents=True)
        (folder / "a.py").write_text("a = 1\n")
        (folder / "__pycache__" / f"{place}.pyc").write_text(place)
    one, two = (digest_of_tree(tmp_path / place / "livefleet") for place in ("one", "two"))
    assert one == two
    (tmp_path / "two/livefleet/a.py").write_text("a = 2\n")
    assert digest_of_tree(tmp_path / "two/livefleet") != one


def test_digest__file_is_renamed__differs(tmp_path: Path) -> None:
    folder = tmp_path / "livefleet"
    folder.mkdir()
    (folder / "a.py").write_text("a = 1\n")
    before = digest_of_tree(folder)
    (folder / "a.py").rename(folder / "b.py")
    assert digest_of_tree(folder) != before


def test_closure__an_extra_of_ones_own_names_others__reaches_theirs(tmp_path: Path) -> None:
    for name in ("web", "films", "money"):
        a_wheel(tmp_path, name, "1")
    roots = tuple(
        map(
            Requirement,
            (
                'livefleet[node,media]; extra == "agent"',
                'web; extra == "node"',
                'films; extra == "media"',
                'money; extra == "chain"',
            ),
        )
    )
    found = wheels_by_name(tmp_path, {"web": "1", "films": "1", "money": "1"})
    reached = closure(roots, frozenset({"agent"}), found, "3.11")
    assert names(reached.wheels) == ["films", "web"]
    assert reached.missing == ()
    assert names(closure(roots, frozenset({"node"}), found, "3.11").wheels) == ["web"]


def test_closure__a_wheel_wants_one_version_of_another__that_counts_where_the_lock_says_nothing(tmp_path: Path) -> None:
    a_wheel(tmp_path, "torch", "2.13.0+cu126", "nvidia_cublas==12.6.4.1", "triton>=3", "sympy==1")
    a_wheel(tmp_path, "nvidia_cublas", "12.6.4.1")
    a_wheel(tmp_path, "nvidia_cublas", "12.8.0.1")
    lock = {"torch": "2.13.0+cu126", "sympy": "1.14.0"}
    first = closure((Requirement("torch"),), frozenset(), wheels_by_name(tmp_path, lock), "3.11")
    assert first.missing == ("nvidia-cublas", "sympy", "triton")
    assert set(first.pinned) == {"nvidia-cublas", "sympy"}
    found = wheels_by_name(tmp_path, lock, first.pinned)
    assert found["nvidia-cublas"].name.startswith("nvidia_cublas-12.6.4.1-")


def test_wheels__a_locked_build__is_met_by_itself_alone(tmp_path: Path) -> None:
    a_wheel(tmp_path, "torch", "2.13.0+cpu")
    a_wheel(tmp_path, "torch", "2.13.0+cu126")
    a_wheel(tmp_path, "torch", "2.13.0")
    for label in ("cpu", "cu126"):
        found = wheels_by_name(tmp_path, {"torch": f"2.13.0+{label}"})
        assert found["torch"].name.startswith(f"torch-2.13.0+{label}-")
    assert wheels_by_name(tmp_path, {"torch": "2.13.0+cu130"}) == {}
