"""Tokens and hosts: who is let in, by what, and what is left of it in the file."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from livefleet.control.enrol.records import HostState
from livefleet.control.enrol.store import EnrolStore, NotLetIn
from livefleet.control.enrol.tokens import CODE_LETTERS, Template, TemplateKind, new_code, new_token
from livefleet.kernel import BadInput
from livefleet.spec.enrolment import EnrolAsk, EnrolFault, HostReport, host_name

WORKERS = Template(TemplateKind.GROUP, "workers")
GPU_1 = Template(TemplateKind.HOST, "gpu-1")
NOW = 1_000_000.0
MOST = 4  # that may wait of one address


@pytest.fixture
def store(tmp_path):
    return EnrolStore(tmp_path / "fleet.enrolled.sqlite3", lambda: {"gpu-1", "gpu-2"}, most_of_a_peer=MOST)


def a_key():
    return Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()


def a_token(store, template=WORKERS, *, uses=1, valid_s=3600.0):
    text, token = new_token(template, now=NOW, valid_s=valid_s, uses=uses)
    store.add(token)
    return text


def ask(store, key, *, token=None, now=NOW, peer="192.0.2.1", **settings):
    return store.asked(key, EnrolAsk(name="host-x", token=token, **settings), peer, now)


def fault_of(*arguments, **settings):
    with pytest.raises(NotLetIn) as caught:
        ask(*arguments, **settings)
    return caught.value.fault


def test_token__is_kept_as_a_hash_alone_in_a_file_of_ours(store):
    text = a_token(store)
    ask(store, a_key(), token=text)
    content = store.path.read_bytes()
    assert text.encode() not in content
    assert text.removeprefix("lf1-").encode() not in content
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_token__two_of_them__differ_in_160_bits():
    texts = {new_token(WORKERS, now=NOW, valid_s=1, uses=1)[0] for _ in range(100)}
    assert len(texts) == 100
    assert {len(text) for text in texts} == {36}


def test_code__letters__are_those_that_are_told_apart():
    assert set("".join(new_code() for _ in range(200))) == {*CODE_LETTERS, "-"}
    assert not set("01IO") & set(CODE_LETTERS)


def test_asked__with_a_groups_token__is_named_by_its_own_key(store):
    key = a_key()
    host = ask(store, key, token=a_token(store))
    assert (host.state, host.name) == (HostState.ENROLLED, host_name("host", bytes.fromhex(key)))
    assert host.template == WORKERS


def test_asked__with_a_hosts_token__is_that_host(store):
    assert ask(store, a_key(), token=a_token(store, GPU_1)).name == "gpu-1"


def test_asked__calling_itself_as_a_declared_host__does_not_become_it(store):
    host = store.asked(a_key(), EnrolAsk(name="gpu-1", token=a_token(store)), "192.0.2.1", NOW)
    assert host.name != "gpu-1"
    assert host.name.startswith("gpu-")


def test_asked__used_up_token__lets_in_nobody_but_who_used_it(store):
    token, first = a_token(store), a_key()
    host = ask(store, first, token=token)
    assert fault_of(store, a_key(), token=token) is EnrolFault.TOKEN_USED
    assert ask(store, first, token=token) == host


@pytest.mark.parametrize(("at", "is_good"), [(NOW + 59.9, True), (NOW + 60, False)])
def test_asked__around_the_tokens_end__is_let_in_only_before(store, at, is_good):
    token = a_token(store, valid_s=60.0)
    if is_good:
        assert ask(store, a_key(), token=token, now=at).name
    else:
        assert fault_of(store, a_key(), token=token, now=at) is EnrolFault.TOKEN_EXPIRED


def test_asked__refused_token__leaves_no_trace_of_the_host(store):
    assert fault_of(store, a_key(), token="lf1-" + "a" * 32) is EnrolFault.TOKEN_UNKNOWN
    assert store.hosts() == ()


def test_asked__a_new_machine_with_a_new_token_for_a_host__takes_the_name_from_the_old_one(store):
    old, new = a_key(), a_key()
    ask(store, old, token=a_token(store, GPU_1))
    ask(store, new, token=a_token(store, GPU_1))
    assert {host.key: host.state for host in store.hosts()} == {old: HostState.REPLACED, new: HostState.ENROLLED}
    assert fault_of(store, old) is EnrolFault.REJECTED
    with pytest.raises(NotLetIn):
        store.reported(old, HostReport(ready=True, digest="sha256:" + "0" * 64), "192.0.2.1", NOW)


def test_waiting__comes_with_a_token_after_all__is_let_in_with_its_code(store):
    key = a_key()
    waiting = ask(store, key)
    host = ask(store, key, token=a_token(store))
    assert (host.state, host.code) == (HostState.ENROLLED, waiting.code)


def test_waiting__rejected_and_then_approved__is_let_in(store):
    key = a_key()
    code = ask(store, key).code
    store.reject(code)
    assert fault_of(store, key) is EnrolFault.REJECTED
    store.approve(code, WORKERS, NOW)
    assert ask(store, key).state is HostState.ENROLLED


def test_approve__twice_or_of_nobody__is_refused_with_what_to_look_at(store):
    code = ask(store, a_key()).code
    store.approve(code, WORKERS, NOW)
    with pytest.raises(BadInput, match="enrolled already"):
        store.approve(code, WORKERS, NOW)
    with pytest.raises(BadInput, match="livefleet enrol list"):
        store.approve("AAAA-AAAA", WORKERS, NOW)


def test_waiting__a_flood_from_one_address__leaves_room_for_others(store):
    for _ in range(MOST):
        ask(store, a_key(), peer="192.0.2.66")
    assert fault_of(store, a_key(), peer="192.0.2.66") is EnrolFault.BUSY
    assert ask(store, a_key(), peer="192.0.2.1").state is HostState.WAITING
    assert ask(store, a_key(), peer="192.0.2.66", token=a_token(store)).state is HostState.ENROLLED


def test_waiting__not_heard_of_for_a_week__makes_room(store):
    for _ in range(MOST):
        ask(store, a_key())
    ask(store, a_key(), now=NOW + 8 * 86_400)
    assert len(store.hosts()) == 1


def test_revoke__by_its_first_digits__ends_it(store):
    token = a_token(store)
    store.revoke(store.tokens()[0].id)
    assert fault_of(store, a_key(), token=token) is EnrolFault.TOKEN_REVOKED


@pytest.mark.parametrize("wrong", ["", "zzzz", "abc"])
def test_revoke__of_none_or_of_several__is_refused(store, wrong):
    a_token(store)
    a_token(store)
    with pytest.raises(BadInput, match="livefleet enrol token list"):
        store.revoke(wrong)


def test_store__a_transaction_that_fails_in_its_middle__leaves_nothing(store, monkeypatch):
    token = a_token(store)
    with monkeypatch.context() as broken:
        broken.setattr(store, "_let_in", _fails)
        with pytest.raises(RuntimeError):
            ask(store, a_key(), token=token)
    assert store.tokens()[0].used == 0
    assert store.hosts() == ()
    assert ask(store, a_key(), token=token).name


def _fails(*_):
    raise RuntimeError("the process ends here")


def test_store__opened_by_many_at_once_for_the_first_time__is_made_once(tmp_path):
    stores = [EnrolStore(tmp_path / "fleet.enrolled.sqlite3", set) for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(a_token, stores))
    assert len(stores[0].tokens()) == 16


def test_store__file_that_is_none__is_said_and_left(tmp_path):
    path = tmp_path / "fleet.enrolled.sqlite3"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(BadInput, match="is damaged, or no file of"):
        EnrolStore(path, set).hosts()
    assert path.read_bytes().startswith(b"not a database")
