"""The base comes from the mirrors that the machine itself uses, and no others."""

from pathlib import Path

import pytest

from tests.lab.sources import sources_of

pytestmark = pytest.mark.component


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_sources__deb822__keeps_suite_updates_and_security(apt: Path) -> None:
    (apt / "sources.list.d" / "debian.sources").write_text(
        "Types: deb deb-src\n# a note\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates trixie\n"
        "Components: main\nSigned-By: /some/key.gpg\n\n"
        "Types: deb\nURIs: http://mirror.test/security\nSuites: bookworm-security\nComponents: main\n"
    )
    assert sources_of("bookworm", apt) == (
        "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\n"
        "Types: deb\nURIs: http://mirror.test/security\nSuites: bookworm-security\nComponents: main\n"
    )


def test_sources__one_line_form__reads_past_options_and_comments(apt: Path) -> None:
    (apt / "sources.list").write_text(
        "# deb http://gone.test/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian bookworm main contrib # ours\n"
    )
    (apt / "sources.list").rename(apt / "sources.list.d" / "debian.list")
    assert sources_of("bookworm", apt) == (
        "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main contrib\n"
    )


@pytest.mark.parametrize(
    "stanza",
    [
        "Types: deb\nURIs: http://third.test/node\nSuites: nodistro\nComponents: main\n",
        "Types: deb-src\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\n",
        "Enabled: no\nTypes: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\n",
        "Types: deb\nURIs: http://mirror.test/x\nSuites: bookwormish\nComponents: main\n",
    ],
)
def test_sources__third_party_source_disabled_or_other_suite__is_left_out(apt: Path, stanza: str) -> None:
    (apt / "sources.list.d" / "x.sources").write_text(stanza)
    assert sources_of("bookworm", apt) == ""
