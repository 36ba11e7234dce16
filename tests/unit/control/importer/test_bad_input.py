"""What cannot be read is told with its place; what is read never shows a secret."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.control.importer import (
    MAX_BYTES,
    Given,
    Imported,
    Outcome,
    SourceKind,
    Wishes,
    decode,
    import_nodes,
    read_source,
)
from livefleet.spec import SpecError
from tests.builders.setups import report_text

pytestmark = pytest.mark.unit

COMPOSE = "services:\n  o:\n    image: livepeer/go-livepeer:0.9.1\n    command: "


def imported(
    text: str, *more: tuple[str, str], kind: SourceKind | None = None, folder: Path = Path("/none")
) -> Imported:
    given = [Given("s", text, folder, kind), *(Given(name, other, folder) for name, other in more)]
    return import_nodes(given, Wishes())


def refusal(text: str, kind: SourceKind | None = None) -> str:
    with pytest.raises(SpecError) as caught:
        imported(text, kind=kind)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a\nb\xff", "s:2:2: is not UTF-8 text"),
        (b"a\n\0", "s:2:1: is not text: it holds a NUL"),
        (b"x" * (MAX_BYTES + 1), "s:1:1: is too large"),
    ],
)
def test_bytes__that_are_no_text__are_refused(data: bytes, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        decode(data, "s")

    assert str(caught.value).startswith(message)


def test_source__with_a_byte_order_mark__is_read() -> None:
    assert decode(b"\xef\xbb\xbfa", "s") == "a"


def test_source__missing__folder__and_too_large__are_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    for name, message in (("none", "No such file"), (".", "is a folder"), ("large", "is too large")):
        with pytest.raises(SpecError, match=message):
            read_source(tmp_path / name, name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s:1:1: is empty"),
        ("# only a remark\n", "s:1:1: is nothing that is recognised"),
        ("once upon a time\n", "s:1:1: is nothing that is recognised; say what it is by `--kind`: argv, env"),
        ("apiVersion: v1\nkind: ConfigMap\n", "s:1:1: starts no go-livepeer"),
        ("livepeer -orchSecret 'abc\n", "s:1:22: the quote ' is never closed"),
        ("[Service]\nExecStart=livepeer -v '6\n", "s:2:23: the quote ' is never closed"),
        (COMPOSE + "[-v, 6\n", "s:5:1: not YAML"),
        (COMPOSE + '"-v \'6"\n', "s:4:14: the quote ' is never closed"),
        ('[{"Config": {}, "HostConfig": {}', "s:1:33: not YAML"),
        ("[keystore1]\nx\n[", "s:"),
    ],
)
def test_source__that_cannot_be_understood__is_refused(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


def test_kind__wrong__is_the_readers_refusal() -> None:
    assert refusal("livepeer -orchestrator", SourceKind.COMPOSE) == (
        "s:1:1: starts no go-livepeer; give the command, unit, compose file or manifest that starts go-livepeer"
    )


def test_prices_file__in_the_documented_shape__is_told_to_have_no_effect() -> None:
    address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    command = "livepeer -orchestrator -transcoder -serviceAddr a.example.org:1 -pricePerUnit 1 -pricePerGateway p.json"

    result = imported(command, ("p.json", f'{{"{address}": 800}}'))

    (danger,) = [each for each in result.report.of(Outcome.DANGEROUS) if each.subject == "-pricePerGateway"]
    assert danger.text == (
        f"p.json:1:2: a price by address is read by nobody: `{address}` would have no effect: go-livepeer starts "
        "without any price by gateway"
    )
    assert "gateways" not in result.fleet


def test_companion__that_nobody_names__is_told() -> None:
    result = imported("livepeer -orchestrator -transcoder", ("m.json", '[{"pipeline": "llm", "model_id": "a"}]'))

    assert "m.json:1:1: m.json: no process names this ai-models file: not taken over" in report_text(result)


def test_address__with_a_wrong_checksum__is_made_small_and_told() -> None:
    wrong = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"

    result = imported(
        f"livepeer -network arbitrum-one-mainnet -ethUrl http://r.example.org -orchestrator -ethAcctAddr {wrong}"
    )

    assert wrong.lower() in result.fleet
    assert "the address's checksum is wrong" in report_text(result)


SECRET = st.text("abcdefghij0123456789", min_size=12, max_size=20).map(lambda text: f"zq{text}")
FLAGS = st.sampled_from(["orchSecret", "ethPassword", "kafkaPassword", "mediaMTXApiPassword", "liveAIAuthApiKey"])
ROLE = ["-network", "arbitrum-one-mainnet", "-orchestrator", "-transcoder", "-serviceAddr", "a.example.org:1"]


@settings(max_examples=50, deadline=None)
@given(SECRET, FLAGS, st.sampled_from(["argv", "env", "config", "systemd", "compose", "unknown"]))
def test_secret__wherever_it_stands__is_never_shown(secret: str, flag: str, form: str) -> None:
    text = {
        "argv": f'X={secret}\nlivepeer {" ".join(ROLE)} -{flag} "$X"',
        "env": f"LP_ORCHESTRATOR=1\nLP_TRANSCODER=1\nLP_{flag.upper()}={secret}\n",
        "config": f"orchestrator\ntranscoder\nnetwork arbitrum-one-mainnet\n{flag} {secret}\n",
        "systemd": f"[Service]\nEnvironment=S={secret}\nExecStart=/bin/livepeer {' '.join(ROLE)} -{flag} ${{S}}\n",
        "compose": COMPOSE + f"{' '.join(ROLE)}\n    environment:\n      LP_{flag.upper()}: {secret}\n",
        "unknown": f"livepeer {' '.join(ROLE)} -{flag}s {secret}",
    }[form]

    result = imported(text)

    assert secret not in result.fleet
    assert secret not in report_text(result)
    assert secret not in repr(result)
    if form != "unknown" and flag in ("orchSecret", "ethPassword") and (flag, form) != ("ethPassword", "env"):
        assert secret in result.secrets.values()


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(SourceKind),
    st.text("-=:{}[]'\"\\\n $()#livepeer orchestrator v6:services image command", max_size=60),
)
def test_source__anything_as_anything__ends_with_a_fleet_or_a_problem(kind: SourceKind, text: str) -> None:
    with contextlib.suppress(SpecError):
        imported(text, kind=kind)
