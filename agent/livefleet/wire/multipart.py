"""Multipart bodies, read piece by piece within limits."""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from livefleet.kernel import LivefleetError

__all__ = ["BadUpload", "MultipartReader", "Part"]


class BadUpload(LivefleetError):
    """The body of a result is broken or too large."""


@dataclass(slots=True)
class Part:
    """One part as it grows."""

    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    content: bytearray = field(default_factory=bytearray)

    @property
    def data(self) -> bytes:
        """The whole content."""
        return bytes(self.content)


class MultipartReader:
    """Takes a body piece by piece."""

    def __init__(self, content_type: str, *, max_parts: int, max_part: int) -> None:
        """Raises BadUpload for a content type without a boundary, or with one that is too long."""
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise BadUpload("no multipart boundary")
        self._parts: list[Part] = []
        self._max_parts = max_parts
        self._max_part = max_part
        self._name = b""
        self._value = b""
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise BadUpload(str(error)) from error

    def feed(self, chunk: bytes) -> None:
        """Raises BadUpload."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadUpload(str(error)) from error

    def parts(self) -> tuple[Part, ...]:
        """After the last piece. Raises BadUpload for a body that broke off."""
        if not self._ended:
            raise BadUpload("unexpected end of the multipart body")
        return tuple(self._parts)

    def _begin(self) -> None:
        if len(self._parts) >= self._max_parts:
            raise BadUpload(f"more than {self._max_parts} parts")
        self._parts.append(Part())

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._parts[-1].headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1").strip()
        self._name = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        content = self._parts[-1].content
        if len(content) + end - start > self._max_part:
            raise BadUpload(f"a part of more than {self._max_part} bytes")
        content += memoryview(data)[start:end]

    def _end(self) -> None:
        self._ended = True
