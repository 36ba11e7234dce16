"""Where the base tree comes from: the mirrors and download settings that this machine's own apt is told to use."""

from pathlib import Path

from tests.lab.shell import run

__all__ = ["download_settings", "sources_of"]

APT = Path("/etc/apt")


def sources_of(suite: str, apt: Path = APT) -> str:
    """This machine's sources for a suite and its updates, in deb822 form; empty when it has none.

    Signing keys are left out: mmdebstrap uses the distribution's own, and knows no third party's.
    """
    stanzas = [
        stanza
        for file in sorted([apt / "sources.list", *(apt / "sources.list.d").glob("*")])
        if file.is_file()
        for stanza in (_deb822(file.read_text()) if file.suffix == ".sources" else _one_line(file.read_text(), file))
    ]
    return "\n".join(
        f"Types: deb\nURIs: {stanza['uris']}\nSuites: {' '.join(suites)}\nComponents: {stanza['components']}\n"
        for stanza in stanzas
        if "deb" in stanza["types"].split() and stanza.get("enabled", "yes") == "yes"
        if (suites := [name for name in stanza["suites"].split() if name == suite or name.startswith(f"{suite}-")])
        if "main" in stanza["components"].split()
    )


def download_settings() -> str:
    """This machine's proxies, date checks and the like, as an apt.conf."""
    lines = run(["apt-config", "dump", "Acquire"]).stdout.splitlines()
    return "".join(f"{line}\n" for line in lines if "::IndexTargets" not in line and not line.endswith(' "";'))


def _deb822(text: str) -> list[dict[str, str]]:
    stanzas = []
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[name] += " " + line.strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                name = key.lower()
                fields[name] = value.strip()
        if {"types", "uris", "suites", "components"} <= fields.keys():
            stanzas.append(fields)
    return stanzas


def _one_line(text: str, file: Path) -> list[dict[str, str]]:
    if file.suffix != ".list":
        return []
    stanzas = []
    for line in text.splitlines():
        entry = line.partition("#")[0]
        options_begin, options_end = entry.find("["), entry.find("]")
        if -1 < options_begin < options_end:
            entry = entry[:options_begin] + entry[options_end + 1 :]
        words = entry.split()
        if len(words) > 3:
            kind, uri, suite, *components = words
            stanzas.append({"types": kind, "uris": uri, "suites": suite, "components": " ".join(components)})
    return stanzas
