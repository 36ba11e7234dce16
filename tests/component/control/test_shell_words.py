"""Command lines as bash itself reads them."""

import subprocess
from pathlib import Path

import pytest

from livefleet.control.importer.findings import Spot
from livefleet.control.importer.words import Dialect, split_commands
from tests.builders.setups import FOLDER

pytestmark = pytest.mark.component

SCRIPTS = [
    "livepeer -a 'b  c' \"d e\" f\\ g",
    "livepeer -a \\\n  -b \\\n\\\n  -c",
    'X=\'1 2\'; Y="$X-3"\nlivepeer -a "$X" -b "${Y}" \'$X\'',
    'export A=q B=\'r s\'\nlivepeer "$A" "${B:-t}" "${C:-u v}"',
    'livepeer "a\\"b" "\\\\" "\\n" \'\\n\' "it\'s" \'say "x"\'',
    "livepeer a#b # c\n",
    "livepeer '' \"\" x''y",
    "if true; then livepeer -a; fi",
    "livepeer -a >/dev/null 2>&1 & wait",
    "livepeer -a 2>/dev/null; livepeer -b && livepeer -c",
    "cat <<'EOF' >/dev/null\nlivepeer 'not this\nEOF\nlivepeer -this",
    'P=1 livepeer "$P" é "ü"',
    "livepeer --flag=\"a b\"c'd e'",
]


def by_bash(script: str) -> list[list[str]]:
    """The words of each command called livepeer, as a function of that name gets them."""
    function = "livepeer() { printf '\\1\\0' >&3; [ $# = 0 ] || printf '%s\\0' \"$@\" >&3; }\n"
    done = subprocess.run(
        ["bash", "--norc", "-c", f"exec 3>&1 >/dev/null\n{function}{script}"],
        capture_output=True,
        timeout=20,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    commands: list[list[str]] = []
    for word in done.stdout.decode().split("\0")[:-1]:
        if word == "\1":
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def by_importer(script: str) -> list[list[str]]:
    commands = split_commands(script, lambda _: Spot("f"), Dialect.SHELL, {})
    texts = [[word.text for word in command] for command in commands]
    return [words[words.index("livepeer") + 1 :] for words in texts if "livepeer" in words]


@pytest.mark.parametrize("script", SCRIPTS)
def test_words__of_a_script__are_those_that_bash_hands_over(script: str) -> None:
    ours, theirs = by_importer(script), by_bash(script)

    holes = [[word.replace("${P}", "") for word in command] for command in ours]  # `P=1 livepeer "$P"`: not yet set
    assert holes == theirs
    assert theirs


@pytest.mark.parametrize("setup", ["01-solo-binary/start.sh", "07-redeemer/orchestrator.sh", "07-redeemer/redeemer.sh"])
def test_words__of_a_setup__are_those_that_bash_hands_over(setup: str) -> None:
    script = Path(FOLDER / setup).read_text().replace("exec /usr/local/bin/livepeer", "livepeer")

    assert by_importer(script) == by_bash(script)
