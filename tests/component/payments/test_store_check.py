"""What `agent check` says of a shared database: real servers, right and wrong."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ruamel.yaml import YAML

from livefleet.chain import DatabaseFailed, DatabaseUnusable, Postgres
from livefleet.doctor.needs import lasting_needs
from livefleet.kernel import BadInput
from livefleet.payments import PostgresStore
from livefleet.roles.store_check import check_database
from livefleet.spec import Grade, NodeSpec, Trouble
from tests.builders.agents import free_port
from tests.builders.postgres import a_postgres

pytestmark = pytest.mark.component

CHAIN = 1337


def a_node(folder, url, **store):
    (folder / "secrets").mkdir(parents=True, exist_ok=True)
    secret = folder / "secrets/database"
    secret.write_text(f"{url}\n")
    settings = {"postgres": "database", "tls": "disable"} | store
    return NodeSpec.model_validate(
        {
            "fleet": "test",
            "name": "redeemer",
            "root": str(folder),
            "role": "redeemer",
            "network": {"name": "devchain", "rpc": [f"http://127.0.0.1:{free_port()}"], "chain_id": CHAIN},
            "redeemer": {"key": "redeemer"},
            "gpus": "none",
            "store": settings,
            "secrets": {"database": str(secret), "ca": str(folder / "ca.pem")},
        }
    )


async def checked(node, chain_id=CHAIN):
    return await check_database(node, node.shared_store, chain_id)


async def test_check__empty_and_then_ours__is_said_and_nothing_is_made(postgres, tmp_path):
    url = postgres.database()
    node = a_node(tmp_path, url)
    assert (await checked(node)).endswith("commits synchronously, is empty")
    assert postgres.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'livefleet'", database=name_of(url)) == "0"
    async with Postgres(url, tls=None) as database, PostgresStore(database, name="test/node") as store:
        await store.bind(CHAIN)
    assert (await checked(node)).endswith(f"holds chain {CHAIN}")
    with pytest.raises(DatabaseUnusable, match=r"chain 1337, this node is on chain 42161; give it another database"):
        await checked(node, 42161)


async def test_doctor__database_right_and_away__is_told_with_its_fix_beside_the_rest(postgres, tmp_path):
    async def of_database(url):
        (found,) = [f for f in await lasting_needs(a_node(tmp_path, url)) if f.what == "database"]
        return found

    assert (await of_database(postgres.database())).grade is Grade.OK
    away = await of_database(f"postgresql://u:secret-one@127.0.0.1:{free_port()}/d")
    assert (away.trouble, away.fix) == (Trouble.DATABASE_UNUSABLE, "check `store`, and the database's own log")
    assert "secret-one" not in f"{away}"


async def test_check__newer_tables__are_refused(postgres, tmp_path):
    url = postgres.database()
    async with Postgres(url, tls=None) as database, PostgresStore(database, name="test/node"):
        pass
    postgres.sql("UPDATE livefleet.meta SET value = '99' WHERE key = 'version payments'", database=name_of(url))
    with pytest.raises(DatabaseUnusable, match="payments of version 99, this one knows 1"):
        await checked(a_node(tmp_path, url))


async def test_check__user_who_may_not_create__is_told_the_statement(postgres, tmp_path):
    url = postgres.database()
    postgres.sql("CREATE ROLE reader LOGIN PASSWORD 'test-only'")
    plain = postgres.url(name_of(url), user="reader", password="test-only")
    with pytest.raises(DatabaseUnusable, match="GRANT CREATE ON DATABASE"):
        await checked(a_node(tmp_path, plain))
    with pytest.raises(DatabaseFailed, match="GRANT CREATE ON DATABASE"):
        async with Postgres(plain, tls=None) as database, PostgresStore(database, name="test/node"):
            pass
    postgres.sql(f"GRANT CREATE ON DATABASE {name_of(url)} TO reader")
    assert "is empty" in await checked(a_node(tmp_path, plain))
    async with Postgres(plain, tls=None) as database, PostgresStore(database, name="test/node"):
        pass


async def test_check__secret_that_is_no_url__is_named_without_its_text(tmp_path):
    with pytest.raises(BadInput, match=r"the secret 'database'.*postgresql://user:password") as error:
        await checked(a_node(tmp_path, "hunter2"))
    assert "hunter2" not in str(error.value)


async def test_check__server_without_tls__says_what_to_write(postgres, tmp_path):
    node = a_node(tmp_path, postgres.database(), tls="require")
    with pytest.raises(DatabaseFailed, match=r"store.tls: disable"):
        await checked(node)


async def test_check__server_with_tls__is_verified_by_the_declared_certificates(tmp_path):
    certificate, key = a_certificate()
    (tmp_path / "ca.pem").write_bytes(certificate)
    with a_tls_server(certificate, key) as server:
        url = server.database()
        assert "is empty" in await checked(a_node(tmp_path, url, tls="verify", ca="ca"))
        assert "is empty" in await checked(a_node(tmp_path, url, tls="require"))
        with pytest.raises(DatabaseFailed, match=r"TLS failed.*store.ca"):
            await checked(a_node(tmp_path, url, tls="verify"))
        (tmp_path / "ca.pem").write_text("no certificate")
        with pytest.raises(BadInput, match=r"store.ca"):
            await checked(a_node(tmp_path, url, tls="verify", ca="ca"))


def test_command__prints_the_sentence_and_ends_with_1_where_it_is_bad(postgres, tmp_path):
    node = a_node(tmp_path, postgres.url("nowhere"))
    path = tmp_path / "node.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(node.model_dump(mode="json", exclude_none=True), file)
    done = subprocess.run(
        [sys.executable, "-m", "livefleet", "agent", "check", str(path), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (found,) = (f for f in json.loads(done.stdout)["findings"] if f["what"] == "database")
    assert found["ok"] is False
    assert 'database "nowhere" does not exist; create it' in found["message"]
    assert postgres.password not in done.stdout + done.stderr


def name_of(url):
    return url.rpartition("/")[2]


@contextmanager
def a_tls_server(certificate, key):
    """A server whose certificate and key lie where its user can read them."""
    with tempfile.TemporaryDirectory(prefix="livefleet-tls-") as folder:
        files = Path(folder) / "server.crt", Path(folder) / "server.key"
        for file, content in zip(files, (certificate, key), strict=True):
            file.write_bytes(content)
            file.chmod(0o600)
        if os.geteuid() == 0:
            for path in (Path(folder), *files):
                shutil.chown(path, "postgres")
        with a_postgres(ssl="on", ssl_cert_file=str(files[0]), ssl_key_file=str(files[1])) as server:
            yield server


def a_certificate():
    """One that signs itself, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
