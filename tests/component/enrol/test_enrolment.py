"""Enrolment over a real TLS service on loopback: what hosts are told, and what nobody else is."""

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from livefleet.control.enrol.certificate import ensure_certificate
from livefleet.control.enrol.rate import RateLimit
from livefleet.control.enrol.service import EnrolService
from livefleet.control.enrol.serving import ListenAt, serve
from livefleet.enrol import EnrolClient, EnrolError, HostFault, Identity
from livefleet.spec import parse_node
from livefleet.spec.enrol import EnrolTrust
from livefleet.spec.enrolment import (
    ASK_PATH,
    CHALLENGE_HEADER,
    CHALLENGE_PATH,
    KEY_HEADER,
    LARGEST_BODY,
    SIGNATURE_HEADER,
    EnrolAsk,
    EnrolFault,
    Enrolled,
    HostReport,
    Waiting,
    signed_text,
)
from tests.builders.enrol import SECRET, WORKERS, Operator, a_fleet_file

DIGEST = "sha256:" + "00" * 32


class Site(Operator):
    """An operator whose service really listens."""

    def __init__(self, folder, **service):
        super().__init__(a_fleet_file(folder, folder / "host"))
        self.certificate = ensure_certificate(folder / "enrol-keys", ("127.0.0.1",))
        self.trust = EnrolTrust(pins=(self.certificate.pin,))
        self.port = 0
        self.connection_s = 30.0
        self._service = {"rate": RateLimit(burst=1e6), "now": lambda: self.now, **service}
        self._up = threading.Event()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._up.wait(30)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._up.clear()

    async def _run(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        service = EnrolService(self.store, self.slices, **self._service)
        at = ListenAt("127.0.0.1", self.port)
        await serve(service, at, self.certificate, self._ready, self._stop, connection_s=self.connection_s)

    def _ready(self, at):
        self.port = at.port
        self._up.set()

    def client(self, identity=None, trust=None):
        return EnrolClient(self.url, trust or self.trust, identity or an_identity(), exchange_s=30)


def an_identity():
    return Identity(Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Site(tmp_path_factory.mktemp("site")) as made:
        yield made


def fault_of(call, *arguments):
    with pytest.raises(EnrolError) as caught:
        call(*arguments)
    return caught.value.fault


def an_ask(**settings):
    return EnrolAsk(name="host-abc", **settings)


def test_ask__with_a_token__is_told_its_settings_and_secrets(site):
    answer = site.client().ask(an_ask(token=site.token()))
    assert isinstance(answer, Enrolled)
    node = parse_node(answer.node_yaml, "node.yaml")
    assert node.name == answer.name
    assert [sent.path for sent in answer.files] == [node.secrets["join"]]
    assert SECRET not in answer.node_yaml


def test_ask__the_same_key_again__gets_the_same_answer_whatever_became_of_its_token(site):
    identity, token = an_identity(), site.token()
    first = site.client(identity).ask(an_ask(token=token))
    site.store.revoke(site.store.tokens()[-1].id)
    assert site.client(identity).ask(an_ask(token=token)) == first
    assert site.client(identity).ask(an_ask()) == first


def test_ask__twenty_hosts_at_once_on_a_token_for_three__lets_exactly_three_in(site):
    token = site.token(uses=3)
    clients = [site.client() for _ in range(20)]

    def answer_of(client):
        try:
            return client.ask(an_ask(token=token))
        except EnrolError as error:
            return error.fault

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(answer_of, clients))
    assert sum(isinstance(answer, Enrolled) for answer in answers) == 3
    assert answers.count(EnrolFault.TOKEN_USED) == 17


def test_ask__one_key_twenty_times_at_once__uses_its_token_once(site):
    identity, token = an_identity(), site.token(uses=5)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: site.client(identity).ask(an_ask(token=token)), range(20)))
    assert len(set(answers)) == 1
    assert next(t.used for t in site.store.tokens() if t.uses == 5) == 1


def _revoked(site):
    token = site.token(uses=7)
    site.store.revoke(next(kept.sha256 for kept in site.store.tokens() if kept.uses == 7))
    return token


@pytest.mark.parametrize(
    ("token_of", "fault"),
    [
        (lambda _: "lf1-" + "a" * 32, EnrolFault.TOKEN_UNKNOWN),
        (lambda site: site.token(valid_s=-1.0), EnrolFault.TOKEN_EXPIRED),
        (_revoked, EnrolFault.TOKEN_REVOKED),
    ],
    ids=["unknown", "expired", "revoked"],
)
def test_ask__with_a_token_that_is_not_good__is_told_why(site, token_of, fault):
    assert fault_of(site.client().ask, an_ask(token=token_of(site))) is fault


def test_ask__service_restarted_after_the_decision__gives_the_same_answer(tmp_path):
    site = Site(tmp_path)
    identity = an_identity()
    with site:
        first = site.client(identity).ask(an_ask(token=site.token()))
    with site:
        assert site.client(identity).ask(an_ask()) == first


def test_ask__without_a_token__waits_with_the_same_code_until_it_is_approved(site):
    identity = an_identity()
    first = site.client(identity).ask(an_ask())
    assert isinstance(first, Waiting)
    assert site.client(identity).ask(an_ask()) == first
    site.store.approve(first.code, WORKERS, site.now)
    assert isinstance(site.client(identity).ask(an_ask()), Enrolled)


def test_ask__pool_worker_without_answers__is_told_what_is_missing(site):
    assert fault_of(site.client().ask, an_ask(mode="pool_worker", token=site.token())) is EnrolFault.NO_ANSWERS


def test_ask__fleet_file_is_broken__loses_nothing_and_works_again_when_it_is_mended(site):
    identity, token, good = an_identity(), site.token(uses=9), site.fleet.read_text()
    site.fleet.write_text("name: [")
    try:
        assert fault_of(site.client(identity).ask, an_ask(token=token)) is EnrolFault.NOT_READY
    finally:
        site.fleet.write_text(good)
    assert isinstance(site.client(identity).ask(an_ask(token=token)), Enrolled)
    assert next(kept.used for kept in site.store.tokens() if kept.uses == 9) == 1


class Eavesdropper:
    """Sits in between with a certificate of its own, and keeps what it is sent after the handshake."""

    def __init__(self, folder, now=None):
        made = ensure_certificate(folder, ("127.0.0.1",), now)
        self.pem = made.certificate.read_text()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(made.certificate, made.key)
        self.heard = b""

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def _listen(self):
        plain, _ = self._socket.accept()
        plain.settimeout(20)
        try:
            with self._context.wrap_socket(plain, server_side=True) as secured:
                while got := secured.recv(1000):
                    self.heard += got
        except OSError:
            pass

    def __exit__(self, *_):
        self._thread.join(30)
        self._socket.close()


def test_ask__somebody_in_between__hears_nothing(site, tmp_path):
    with Eavesdropper(tmp_path) as eve:
        client = EnrolClient(eve.url, site.trust, an_identity())
        assert fault_of(client.ask, an_ask(token=site.token())) is HostFault.PIN_MISMATCH
    assert eve.heard == b""


def test_ask__certificate_by_no_trusted_authority__hears_nothing(site, tmp_path):
    trust = EnrolTrust(ca=site.certificate.certificate.read_text())
    with Eavesdropper(tmp_path) as eve:
        assert fault_of(EnrolClient(eve.url, trust, an_identity()).ask, an_ask()) is HostFault.NOT_TRUSTED
    assert eve.heard == b""


def test_ask__by_a_trusted_authority__is_answered(site):
    trust = EnrolTrust(ca=site.certificate.certificate.read_text())
    assert isinstance(site.client(trust=trust).ask(an_ask()), Waiting)


def test_ask__certificate_is_not_valid_yet_by_this_clock__says_that_the_clock_may_be_wrong(tmp_path):
    with Eavesdropper(tmp_path, datetime.now(UTC) + timedelta(days=400)) as eve:
        client = EnrolClient(eve.url, EnrolTrust(ca=eve.pem), an_identity())
        with pytest.raises(EnrolError, match="by this host's clock") as caught:
            client.ask(an_ask())
    assert caught.value.fault is HostFault.CLOCK_WRONG
    assert eve.heard == b""


def test_ask__nobody_listens__says_so(site):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = EnrolClient(f"https://127.0.0.1:{closed.getsockname()[1]}", site.trust, an_identity())
        assert fault_of(client.ask, an_ask()) is HostFault.NO_ANSWER


class Wire:
    """Requests by hand."""

    def __init__(self, site):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._connection = http.client.HTTPSConnection("127.0.0.1", site.port, context=context, timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()

    def send(self, method, path, body=None, headers=None):
        self._connection.request(method, path, body, headers or {})
        with self._connection.getresponse() as response:
            return response.status, json.loads(response.read() or b"null")

    def signed(self, identity, body, *, sign_with=None):
        _, challenge = self.send("GET", CHALLENGE_PATH)
        text = signed_text(ASK_PATH, challenge["challenge"], body)
        return {
            KEY_HEADER: identity.public_key.hex(),
            CHALLENGE_HEADER: challenge["challenge"],
            SIGNATURE_HEADER: (sign_with or identity).sign(text).hex(),
        }


@pytest.fixture
def wire(site):
    with Wire(site) as made:
        yield made


def test_request__sent_twice__counts_once(site, wire):
    identity = an_identity()
    body = an_ask(token=site.token()).model_dump_json().encode()
    headers = wire.signed(identity, body)
    assert wire.send("POST", ASK_PATH, body, headers)[0] == 200
    assert wire.send("POST", ASK_PATH, body, headers)[1]["fault"] == EnrolFault.BAD_SIGNATURE


def test_request__with_the_key_of_an_enrolled_host_and_not_its_signature__is_told_nothing(site, wire):
    victim = an_identity()
    site.client(victim).ask(an_ask(token=site.token()))
    body = an_ask().model_dump_json().encode()
    status, answer = wire.send("POST", ASK_PATH, body, wire.signed(victim, body, sign_with=an_identity()))
    assert (status, answer["fault"]) == (401, EnrolFault.BAD_SIGNATURE)


def test_request__body_changed_on_the_way__is_not_taken(wire):
    identity = an_identity()
    headers = wire.signed(identity, an_ask().model_dump_json().encode())
    assert wire.send("POST", ASK_PATH, an_ask(cores=9).model_dump_json().encode(), headers)[0] == 401


def test_request__too_big__is_refused_before_it_is_read_to_its_end(wire):
    body = b"x" * (LARGEST_BODY + 1)
    status, answer = wire.send("POST", ASK_PATH, body, wire.signed(an_identity(), body))
    assert (status, answer["fault"]) == (400, EnrolFault.BAD_REQUEST)
    assert answer["message"] == "a request has 65536 bytes at most"


def test_request__signed_nonsense__is_refused_without_showing_it(wire):
    body = b'{"name": "host-a", "token": "lf1-secret"}'
    status, answer = wire.send("POST", ASK_PATH, body, wire.signed(an_identity(), body))
    assert (status, answer["fault"]) == (400, EnrolFault.BAD_REQUEST)
    assert "secret" not in answer["message"]


def test_flood__more_than_the_rate_of_one_address__is_told_to_wait(tmp_path):
    with Site(tmp_path, rate=RateLimit(burst=10, per_s=0.001)) as site:
        with Wire(site) as wire:
            statuses = [wire.send("GET", CHALLENGE_PATH)[0] for _ in range(30)]
        assert statuses == [200] * 10 + [429] * 20
        assert fault_of(site.client().ask, an_ask()) is EnrolFault.BUSY


@pytest.mark.parametrize(
    "sent", [b"", b"GET /enrol/v1/challenge HTTP/1.1\r\nHost: x\r\n", b"POST /enrol/v1/host HTTP/1.1\r\n"]
)
def test_connection__that_never_ends_its_request__is_closed(tmp_path, sent):
    site = Site(tmp_path)
    site.connection_s = 0.3
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with site, socket.create_connection(("127.0.0.1", site.port), 30) as plain, context.wrap_socket(plain) as peer:
        peer.sendall(sent)
        with contextlib.suppress(OSError):  # reset is as good
            assert peer.recv(1) == b""


def test_report__of_an_enrolled_host__is_kept_and_of_another_refused(site):
    identity = an_identity()
    report = HostReport(ready=False, reasons=("OrchestratorReachable",), digest=DIGEST)
    assert fault_of(site.client(identity).report, report) is EnrolFault.NOT_ENROLLED
    answer = site.client(identity).ask(an_ask(token=site.token()))
    site.client(identity).report(report)
    assert next(host.report for host in site.store.hosts() if host.name == answer.name) == report


def test_service__log_and_store__have_neither_token_nor_secret(site, caplog):
    caplog.set_level("DEBUG")
    token = site.token()
    answer = site.client().ask(an_ask(token=token))
    assert answer.name in caplog.text or any(answer.name in str(vars(record)) for record in caplog.records)
    said = "".join(str(vars(record)) for record in caplog.records)
    kept = site.store.path.read_bytes()
    for secret in (token, token.removeprefix("lf1-"), SECRET):
        assert secret not in said
        assert secret.encode() not in kept
