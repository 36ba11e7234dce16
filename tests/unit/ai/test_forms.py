"""Bodies as they come, good and bad. What is too long ends while it is read."""

import contextlib
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from livefleet.ai.forms import MAX_BESIDE_FILE, MAX_JSON, BadForm, read_fields
from tests.builders.ai_kinds import PictureKind, TextKind

pytestmark = pytest.mark.unit

PICTURE = ("image", b"x" * 1000, "application/octet-stream")


class Body:
    """A request whose body comes in pieces, and which knows how many of them were taken."""

    def __init__(self, pieces: Sequence[bytes], headers: dict[str, str], *, ends: bool = True) -> None:
        self.taken = 0
        self._pieces = pieces
        self._ends = ends
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self.request = Request({"type": "http", "method": "POST", "headers": raw, "app": None}, self._receive)

    async def _receive(self) -> dict[str, Any]:
        if self.taken == len(self._pieces) and not self._ends:
            return {"type": "http.disconnect"}
        piece, self.taken = self._pieces[self.taken], self.taken + 1
        more = self.taken < len(self._pieces) or not self._ends
        return {"type": "http.request", "body": piece, "more_body": more}


def multipart(*, length_told: bool = True, size: int = 64, **parts: Any) -> Body:
    request = httpx.Request("POST", "http://runner", **parts)
    raw = request.read()
    headers = {"content-type": request.headers["content-type"]}
    if length_told:
        headers["content-length"] = str(len(raw))
    return Body([raw[start : start + size] for start in range(0, len(raw), size)], headers)


async def refusal(body: Body, kind: Any = None) -> BadForm:
    with pytest.raises(BadForm) as refused:
        await read_fields(body.request, kind or PictureKind())
    return refused.value


async def test_form__fields_and_file__are_read():
    body = multipart(data={"prompt": "a", "seed": "3"}, files={"image": PICTURE})
    assert await read_fields(body.request, PictureKind()) == ({"prompt": "a", "seed": "3"}, b"x" * 1000)


async def test_form__file_of_a_byte_too_much__is_413():
    refused = await refusal(multipart(data={"prompt": "a"}, files={"image": ("image", b"x" * 1001)}))
    assert (refused.status, str(refused)) == (413, "File size exceeds limit.")


async def test_form__says_that_it_is_too_long__is_413_before_any_of_it_is_read():
    body = Body([b""], {"content-type": "multipart/form-data; boundary=x", "content-length": str(2 * 2**30)})
    assert (await refusal(body)).status == 413
    assert body.taken == 0


async def test_form__endless_without_a_length__is_413_at_the_limit():
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n\r\n'
    pieces = [head, *[b"y" * 65_536] * 1000]
    body = Body(pieces, {"content-type": "multipart/form-data; boundary=x"})
    refused = await refusal(body)
    assert (refused.status, str(refused)) == (413, "File size exceeds limit.")
    assert body.taken <= (MAX_BESIDE_FILE + 1000) // 65_536 + 3


async def test_json__endless_without_a_length__is_413_at_the_limit():
    body = Body([b'{"prompt": "', *[b"y" * 65_536] * 1000], {"content-type": "application/json"})
    refused = await refusal(body, TextKind())
    assert refused.status == 413
    assert body.taken <= MAX_JSON // 65_536 + 2


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (multipart(data={"prompt": "a"}, files={"sound": PICTURE}), 422, ("missing", ["image"], "Field required")),
        (
            multipart(data={"image": "text"}, files={"sound": PICTURE}),
            422,
            ("value_error", ["image"], "Value error, Expected UploadFile, received: <class 'str'>"),
        ),
        (Body([b"{}"], {"content-type": "application/json"}), 422, ("missing", ["image"], "Field required")),
        (Body([b"--x--"], {"content-type": "multipart/form-data"}), 400, None),
        (Body([b"garbage" * 9], {"content-type": "multipart/form-data; boundary=x"}), 400, None),
        (multipart(data={f"f{n}": "v" for n in range(65)}, files={"image": PICTURE}), 400, None),
        (multipart(files=[("image", PICTURE), ("image", PICTURE)]), 400, None),
    ],
)
async def test_form__something_wrong_with_it__says_what(body: Body, status: int, fault: Any):
    refused = await refusal(body)
    assert refused.status == status
    if fault:
        assert (refused.fault["type"], refused.fault["loc"], refused.fault["msg"]) == fault


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"prompt": NaN}', b'{"a":' * 5000, b"\xff\xfe", b"null"])
async def test_json__no_object__is_422(text: bytes):
    refused = await refusal(Body([text], {}), TextKind())
    assert (refused.status, refused.fault["type"], refused.fault["loc"]) == (422, "json_invalid", [])


@pytest.mark.parametrize("kind", [TextKind(), PictureKind()])
async def test_body__client_leaves_amid_it__is_told_as_that(kind: Any):
    body = Body([b"--x\r\nContent-Disp"], {"content-type": "multipart/form-data; boundary=x"}, ends=False)
    with pytest.raises(ClientDisconnect):
        await read_fields(body.request, kind)


@given(raw=st.binary(max_size=400), size=st.integers(1, 50))
async def test_form__any_bytes__are_read_or_refused(raw: bytes, size: int):
    pieces = [raw[start : start + size] for start in range(0, len(raw), size)] or [b""]
    for kind in (TextKind(), PictureKind()):
        body = Body(pieces, {"content-type": "multipart/form-data; boundary=x"})
        # Anything else that were raised would be a 500.
        with contextlib.suppress(BadForm):
            fields, _ = await read_fields(body.request, kind)
            assert isinstance(fields, dict)
