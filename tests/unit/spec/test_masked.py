"""What is shown of URLs."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.spec import masked_urls

pytestmark = pytest.mark.unit

words = st.text(string.ascii_letters + string.digits + "-_", min_size=8, max_size=20)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("service_uri: https://o.example:8935", "service_uri: https://o.example:8935"),
        ("- https://rpc.example/v2/KEY", "- https://rpc.example/…"),
        ("http://user:KEY@rpc.example", "http://…@rpc.example"),
        ("https://rpc.example?key=KEY", "https://rpc.example/…"),
        ('["https://a.example/K1", "https://b.example/K2"]', '["https://a.example/…", "https://b.example/…"]'),
        ("s3+https://store.example/bucket", "s3+https://store.example/…"),
        ("o.example:8935", "o.example:8935"),
        ("", ""),
    ],
)
def test_masked__each_form(text: str, shown: str) -> None:
    assert masked_urls(text) == shown


@given(words, words, words, words)
def test_masked__whatever_stands_beside_the_host__is_gone(user: str, path: str, query: str, host: str) -> None:
    shown = masked_urls(f"+  - https://{user}:{user}@{host}.example/{path}?{query}={query}")
    assert shown == f"+  - https://…@{host}.example/…"
    assert masked_urls(shown) == shown
