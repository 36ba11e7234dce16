import base64
import dataclasses
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from livefleet.kernel import BadInput
from livefleet.spec import ObjectStoreSettings
from livefleet.wire.storage import GoogleStore, S3Store, StorageKind, StoreGrant, object_name, open_store
from livefleet.wire.storage.policy import sign_for_s3

pytestmark = pytest.mark.unit

NOW = 1_764_000_000.0  # 2025-11-24T16:00:00Z
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

# Amazon's published example of a signed form, with its lines ended by CR LF as there
# (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html).
AWS_POLICY_LINES = (
    '{ "expiration": "2015-12-30T12:00:00.000Z",',
    '  "conditions": [',
    '    {"bucket": "sigv4examplebucket"},',
    '    ["starts-with", "$key", "user/user1/"],',
    '    {"acl": "public-read"},',
    '    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},',
    '    ["starts-with", "$Content-Type", "image/"],',
    '    {"x-amz-meta-uuid": "14365123651274"},',
    '    {"x-amz-server-side-encryption": "AES256"},',
    '    ["starts-with", "$x-amz-meta-tag", ""],',
    "",
    '    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},',
    '    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},',
    '    {"x-amz-date": "20151229T000000Z" }',
    "  ]",
    "}",
)
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
AWS_SIGNATURE = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"


def an_s3_store(**changes):
    store = S3Store("https://b.example.com", "b", "eu-west-3", "live", "AKIDTEST", "test-only")
    return dataclasses.replace(store, **changes)


def document_of(grant):
    return json.loads(base64.b64decode(grant.policy))


def key_file(key=KEY):
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return json.dumps({"type": "service_account", "client_email": "node@p.iam.gserviceaccount.com", "private_key": pem})


def test_sign_for_s3__published_example__matches():
    policy = base64.b64encode("\r\n".join(AWS_POLICY_LINES).encode()).decode()
    assert sign_for_s3(policy, AWS_SECRET, "20151229", "us-east-1") == AWS_SIGNATURE


def test_s3_grant__is_bounded_in_time_folder_and_size():
    grant = an_s3_store().grant("session", NOW, 3600)
    document = document_of(grant)
    assert document["expiration"] == "2025-11-24T17:00:00.000Z"
    assert ["starts-with", "$key", "live/session/"] in document["conditions"]
    assert ["content-length-range", 1, 300_000_000] in document["conditions"]
    assert {"bucket": "b"} in document["conditions"]
    assert grant.key == "live/session"


def test_s3_grant__form__meets_every_condition_of_its_policy():
    grant = an_s3_store().grant("session", NOW, 3600)
    form = grant.form("P144p30fps16x9/7.ts", "video/mp2t")
    fields = {name.lower(): value for name, value in form.items()}
    for condition in document_of(grant)["conditions"]:
        match condition:
            case ["starts-with", name, prefix]:
                assert fields.pop(name.removeprefix("$").lower()).startswith(prefix)
            case ["content-length-range", *_] | {"bucket": _}:
                pass
            case dict():
                ((name, value),) = condition.items()
                assert fields.pop(name) == value
    assert fields.keys() == {"policy", "x-amz-signature"}  # whatever else a form has, a policy must allow


def test_google_grant__form_and_signature__are_what_google_checks():
    grant = GoogleStore.of("bucket", "live", key_file()).grant("session", NOW, 3600)
    assert (grant.kind, grant.host, grant.key) == (
        StorageKind.GOOGLE,
        "https://bucket.storage.googleapis.com",
        "live/session",
    )
    form = grant.form("a/1.ts", "video/mp2t")
    assert form.keys() == {"acl", "Content-Type", "key", "policy", "GoogleAccessId", "signature"}
    assert form["GoogleAccessId"] == "node@p.iam.gserviceaccount.com"
    signature = base64.b64decode(form["signature"])
    KEY.public_key().verify(signature, grant.policy.encode(), padding.PKCS1v15(), hashes.SHA256())  # raises if wrong
    assert ["starts-with", "$key", "live/session/"] in document_of(grant)["conditions"]


@pytest.mark.parametrize(
    "text", ["", "secret", "{}", '{"private_key": "x", "client_email": "e"}', '{"private_key": 7}', "[]"]
)
def test_google_store__no_key_file__is_bad_input_that_tells_nothing(text):
    with pytest.raises(BadInput, match="JSON key file") as refused:
        GoogleStore.of("bucket", "", text)
    assert "private_key" not in str(refused.value)


def test_google_store__key_that_is_not_rsa__is_bad_input():
    with pytest.raises(BadInput, match="not RSA"):
        GoogleStore.of("bucket", "", key_file(ec.generate_private_key(ec.SECP256R1())))


@pytest.mark.parametrize(
    ("url", "host", "region", "prefix"),
    [
        ("s3://eu-central-1/b-1/live/x", "https://b-1.s3.eu-central-1.amazonaws.com", "eu-central-1", "live/x"),
        ("s3://us-east-1/b.dots", "https://s3.us-east-1.amazonaws.com/b.dots", "us-east-1", ""),
        ("s3://cn-north-1/b-1", "https://b-1.s3.cn-north-1.amazonaws.com.cn", "cn-north-1", ""),
        ("s3+https://store.example:9000/b-1/p/", "https://store.example:9000/b-1", "us-east-1", "p"),
        ("s3+http://10.0.0.7/b-1", "http://10.0.0.7/b-1", "us-east-1", ""),
    ],
)
def test_open_store__s3__host_region_and_prefix(url, host, region, prefix):
    store = open_store(ObjectStoreSettings(url=url, access_key="AKID", secret="name"), "test-only")
    assert store == S3Store(host, url.split("/")[3], region, prefix, "AKID", "test-only")
    assert "test-only" not in repr(store)


@pytest.mark.parametrize(
    ("url", "host", "key"),
    [
        ("gs://bucket", "https://bucket.storage.googleapis.com", "s"),
        ("gs://bucket/live/eu", "https://bucket.storage.googleapis.com", "live/eu/s"),
        ("gs://my.bucket/p", "https://storage.googleapis.com/my.bucket", "p/s"),
    ],
)
def test_open_store__google__host_and_prefix(url, host, key):
    grant = open_store(ObjectStoreSettings(url=url, secret="name"), key_file()).grant("s", NOW, 1)
    assert (grant.host, grant.key) == (host, key)


@pytest.mark.parametrize(
    "host",
    ["", "store", "ftp://h/b", "file:///etc/passwd", "https://", "https://u:p@h/b", "https://h/b?x=1", "http://h:x/b",
     "https://[::1", "https://h/b#f"],
)  # fmt: skip
def test_grant__host_that_nothing_is_posted_to__is_no_grant(host):
    with pytest.raises(ValueError, match=r"."):
        StoreGrant(StorageKind.S3, host, "k", "p", "s")


def test_grant__url__keeps_the_host_as_given_and_knows_its_own():
    grant = StoreGrant(StorageKind.S3, "HTTP://Minio:9000/bucket", "pfx", "p", "s")
    assert grant.url("a b/1.ts") == "HTTP://Minio:9000/bucket/pfx/a%20b/1.ts"
    assert grant.holds(grant.url("x"))
    assert not grant.holds("HTTP://Minio:9000/bucketeer/x")
    assert not grant.holds("HTTP://Minio:9000.evil.example/bucket/x")


@pytest.mark.parametrize("path", ["../admin", "a/../../admin", "%2e%2e/admin", "a/%2E%2E/%2e./x", ".", "..\\admin"])
def test_grant__url_that_climbs_out_of_the_store__is_not_of_it(path):
    grant = StoreGrant(StorageKind.S3, "http://10.0.0.7:9000/bucket", "", "p", "s")
    assert not grant.holds(f"http://10.0.0.7:9000/bucket/{path}")
    assert grant.holds("http://10.0.0.7:9000/bucket/a..b/..%252Fx..ts?signature=1")


def test_grant__repr__hides_what_was_signed():
    grant = an_s3_store().grant("session", NOW, 3600)
    assert grant.policy not in repr(grant)
    assert grant.signature not in repr(grant)


def test_object_name__usual_names__are_themselves():
    assert object_name("P720p30fps16x9", "12.ts.phash") == "P720p30fps16x9/12.ts.phash"


@pytest.mark.parametrize("part", ["..", ".", "", "a/b", "../../x", "a\\b", "a\nb", "%2e%2e"])
def test_object_name__strange_part__stays_one_part(part):
    first, _, rest = object_name(part, "1.ts").partition("/")
    assert rest == "1.ts"
    assert first not in {"", ".", ".."}
    assert "\n" not in first
