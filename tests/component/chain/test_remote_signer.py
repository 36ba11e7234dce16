"""A signing service over real sockets, with what goes wrong on the way to it."""

import contextlib
import ssl
import time

import httpx
import pytest
from eth_account import Account

from livefleet.chain import RemoteSigner, RemoteSignerSettings, recover_address
from livefleet.kernel import BadInput, Terminal, Transient
from tests.builders.web3signer import a_web3signer, make_certificates, public_key_of

pytestmark = pytest.mark.component

SECRET = bytes.fromhex("22" * 32)  # test-only
OTHER = bytes.fromhex("33" * 32)
ADDRESS = Account.from_key(SECRET).address
MESSAGE = b"\x07" * 32


@pytest.fixture
def service():
    with a_web3signer(SECRET) as running:
        yield running


@contextlib.asynccontextmanager
async def a_signer(service, **settings):
    async with RemoteSigner(RemoteSignerSettings(**{"url": service.url, "address": ADDRESS} | settings)) as signer:
        yield signer


async def test_sign__several_keys__the_right_one_is_found_once(service):
    service.hold(OTHER)
    async with a_signer(service) as signer:
        await signer.sign(MESSAGE)
        await signer.sign(MESSAGE)
    sign = f"POST /api/v1/eth1/sign/{public_key_of(SECRET)}"
    assert service.asked == ["GET /api/v1/eth1/publicKeys", sign, sign]


async def test_sign__identifier_given__no_list_is_asked_for(service):
    async with a_signer(service, identifier=public_key_of(SECRET)) as signer:
        assert recover_address(MESSAGE, await signer.sign(MESSAGE)) == bytes.fromhex(ADDRESS[2:])
    assert [line for line in service.asked if line.startswith("GET")] == []


async def test_sign__a_path_before_the_api__is_kept(service):
    async with a_signer(service, url=service.url + "/teams/video/") as signer:
        with pytest.raises(Terminal, match="is it Web3Signer"):
            await signer.sign(MESSAGE)
    assert service.asked == ["GET /teams/video/api/v1/eth1/publicKeys"]


@pytest.mark.parametrize("trouble", ["broken_answers", "hang_ups"])
async def test_sign__trouble_that_passes__is_tried_again(service, trouble):
    async with a_signer(service, identifier=public_key_of(SECRET)) as signer:
        setattr(service, trouble, 2)
        assert await signer.sign(MESSAGE)
        setattr(service, trouble, 3)
        with pytest.raises(Transient, match=service.url):
            await signer.sign(MESSAGE)
    assert len(service.signed) == 1


async def test_sign__nobody_there__is_transient_and_says_where():
    with a_web3signer(SECRET) as service:
        url = service.url
    async with RemoteSigner(RemoteSignerSettings(url, ADDRESS)) as signer:
        with pytest.raises(Transient, match=f"{url}/ cannot be reached"):
            await signer.sign(MESSAGE)


async def test_sign__no_answer__takes_the_timeout_once(service):
    service.may_answer.clear()
    began = time.monotonic()
    async with a_signer(service, timeout_s=0.2) as signer:
        with pytest.raises(Transient, match="cannot be reached: "):
            await signer.sign(MESSAGE)
    assert time.monotonic() - began < 2


async def test_sign__key_not_loaded_there__is_terminal_and_names_what_is(service):
    service.keys.clear()
    service.hold(OTHER)
    other = Account.from_key(OTHER).address
    async with a_signer(service) as signer:
        with pytest.raises(Terminal, match=f"no key of {ADDRESS}; it holds {other}"):
            await signer.sign(MESSAGE)
    async with a_signer(service, identifier=public_key_of(SECRET)) as signer:
        with pytest.raises(Terminal, match="holds no key"):
            await signer.sign(MESSAGE)
        with pytest.raises(Terminal, match="holds no key"):
            await signer.check()


async def test_sign__signature_of_another_key__is_refused(service):
    """A service that answers with the wrong key must not get a transaction sent."""
    service.keys[public_key_of(SECRET)] = service.keys[service.hold(OTHER)]
    async with a_signer(service, identifier=public_key_of(SECRET)) as signer:
        with pytest.raises(Terminal, match=f"signed as {Account.from_key(OTHER).address}, wanted is {ADDRESS}"):
            await signer.sign(MESSAGE)


@pytest.mark.parametrize("answer", [b"0x", b"no hex", b"0x" + b"11" * 96, b"0x" + b"00" * 65, b"0x" + b"ff" * 65])
async def test_sign__answer_that_is_no_signature__is_terminal(service, answer):
    service.answer = answer
    async with a_signer(service) as signer:
        with pytest.raises(Terminal, match=r"answered no signature|signed as nobody"):
            await signer.sign(MESSAGE)


async def test_sign__v_and_s_written_otherwise__are_put_right(service):
    async with a_signer(service) as signer:
        right = await signer.sign(MESSAGE)
        order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
        high_s = (order - int.from_bytes(right[32:64])).to_bytes(32)
        for other in (
            right[:64] + bytes([right[64] - 27]),
            right[:32] + high_s + bytes([55 - right[64]]),
        ):
            service.answer = ("0x" + other.hex()).encode()
            assert await signer.sign(MESSAGE) == right


async def test_sign__policy_says_no__is_terminal_and_not_tried_again(service):
    service.allow = lambda _: False
    async with a_signer(service) as signer:
        with pytest.raises(Terminal, match=r"refuses this host \(403\)"):
            await signer.sign(MESSAGE)
    assert len(service.signed) == 1


async def test_token__is_sent_and_never_printed(service):
    service.token = "s3cret-token"
    settings = RemoteSignerSettings(service.url, ADDRESS, token="s3cret-token")
    assert "s3cret" not in repr(settings)
    async with RemoteSigner(settings) as signer:
        await signer.check()
        assert "s3cret" not in repr(signer)
    async with a_signer(service, token="another") as signer:
        with pytest.raises(Terminal, match="401") as refused:
            await signer.check()
    assert "another" not in str(refused.value)


async def test_tls__both_ends_are_checked(tmp_path):
    ours, foreign = make_certificates(tmp_path), make_certificates(tmp_path, name="foreign")
    own = {"client_certificate": ours.client, "client_key": ours.client_key}
    with a_web3signer(SECRET, certificates=ours) as service:
        async with a_signer(service, tls_ca=ours.authority, **own) as signer:
            assert await signer.sign(MESSAGE)
        refused = [
            {"tls_ca": foreign.authority, **own},
            {"tls_ca": ours.authority},
            {"tls_ca": ours.authority, "client_certificate": foreign.client, "client_key": foreign.client_key},
        ]
        for settings in refused:
            async with a_signer(service, **settings) as signer:
                with pytest.raises(Transient, match="cannot be reached"):
                    await signer.sign(MESSAGE)
        assert len(service.signed) == 1


def test_tls__unusable_files__are_named(tmp_path):
    ours = make_certificates(tmp_path)
    absent = tmp_path / "absent.pem"
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for settings in (
        {"tls_ca": absent},
        {"tls_ca": text},
        {"client_certificate": text},
        {"client_certificate": ours.client, "client_key": absent},
        {"client_certificate": ours.client},
    ):
        named = next(str(path) for path in reversed(settings.values()))
        with pytest.raises(BadInput, match=named):
            RemoteSigner(RemoteSignerSettings("https://127.0.0.1:1", ADDRESS, **settings))


def test_identifier__of_another_address__is_refused():
    with pytest.raises(BadInput, match=f"public key of {Account.from_key(OTHER).address}, declared is {ADDRESS}"):
        RemoteSigner(RemoteSignerSettings("http://127.0.0.1:1", ADDRESS, identifier=public_key_of(OTHER)))


def test_stand_in__speaks_as_the_published_api_says(service):
    """The stand-in itself against the published specification's examples of status, type and body."""
    url = f"{service.url}/api/v1/eth1/sign/"
    with httpx.Client(verify=ssl.create_default_context()) as client:
        assert client.get(f"{service.url}/upcheck").text == "OK"
        keys = client.get(f"{service.url}/api/v1/eth1/publicKeys")
        assert (keys.json(), keys.headers["content-type"]) == (
            [public_key_of(SECRET)],
            "application/json; charset=utf-8",
        )
        good = client.post(url + public_key_of(SECRET), json={"data": "0x48656c6c6f2c20776f726c6421"})
        assert (good.status_code, good.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert len(good.text) == 2 + 130
        assert client.post(url + public_key_of(OTHER), json={"data": "0x00"}).status_code == 404
        assert client.post(url + public_key_of(SECRET), json={"date": "0x00"}).status_code == 400
        assert client.post(url + public_key_of(SECRET), content=b"{").status_code == 400
