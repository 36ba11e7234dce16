"""Lines of the kernel log as journald hands them out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.hardware.kernel_log import DriverLoad, KernelXid, parse_entry, parse_xid

pytestmark = pytest.mark.unit


def an_entry(message, **fields):
    entry = {"__MONOTONIC_TIMESTAMP": "5000000", "__REALTIME_TIMESTAMP": "1700000000250000", "MESSAGE": message}
    return json.dumps(entry | fields).encode() + b"\n"


@pytest.mark.parametrize(
    ("line", "bus", "code", "text"),
    [
        (
            "NVRM: Xid (PCI:0000:01:00): 79, pid=1234, name=python3, GPU has fallen off the bus.",
            "0000:01:00", 79, "pid=1234, name=python3, GPU has fallen off the bus.",
        ),
        (
            "NVRM: Xid (PCI:0000:41:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
            "0000:41:00", 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
        ),
        ("NVRM: Xid (PCI:0000:01:00): 62, GPU stopped", "0000:01:00", 62, "GPU stopped"),
        ("NVRM: Xid (PCI:0000:01:00): 45", "0000:01:00", 45, ""),
        ("NVRM: Xid (PCI:0000:07:00 GPU-I:05): 94, pid=7, Contained", "0000:07:00", 94, "pid=7, Contained"),
        ("NVRM: Xid (0000:02:00): 31, Ch 00000010", "0000:02:00", 31, "Ch 00000010"),
        ("[ 12.3] NVRM: Xid (PCI:0001:0a:00): 154, GPU recovery action changed", "0001:0a:00", 154,
         "GPU recovery action changed"),
    ],
)  # fmt: skip
def test_xid__forms_that_drivers_write(line, bus, code, text):
    assert parse_xid(line) == (bus, code, text)


@pytest.mark.parametrize(
    "line",
    [
        "", "NVRM: loading NVIDIA UNIX x86_64 Kernel Module", "NVRM: GPU at PCI:0000:01:00: GPU-1",
        "NVRM: Xid (PCI:nonsense): 79", "NVRM: Xid (PCI:0000:01:00): many", "NVRM: Xid (PCI:0000:01:00): 79999999999",
        "NVRM: Xid (PCI:::::): 79, x",
    ],
)  # fmt: skip
def test_xid__other_lines__are_none(line):
    assert parse_xid(line) is None


def test_entry__is_read_whole():
    line = an_entry("NVRM: Xid (PCI:0000:01:00): 48, DBE")
    assert parse_entry(line) == KernelXid(5_000_000, 1700000000.25, "0000:01:00", 48, "DBE")


def test_entry__driver_is_loaded__is_told():
    line = an_entry("NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build")
    assert parse_entry(line) == DriverLoad(5_000_000, 1700000000.25)


def test_entry__message_as_bytes__is_read():
    message = list(b"NVRM: Xid (PCI:0000:01:00): 13, name=\xff\xfe, Graphics")
    found = parse_entry(an_entry(message))
    assert (found.code, found.text) == (13, "name=\ufffd\ufffd, Graphics")


def test_entry__text_of_a_megabyte__is_cut():
    found = parse_entry(an_entry("NVRM: Xid (PCI:0000:01:00): 13, " + "x" * 1_000_000))
    assert len(found.text) == 200


@pytest.mark.parametrize("message", [None, "another line", [1, 2, 999], {"a": 1}, 7])
def test_entry__no_report__is_left_out(message):
    assert parse_entry(an_entry(message)) is None


@given(st.binary(max_size=300))
def test_entry__any_bytes__never_raise(line):
    assert parse_entry(line) is None


@given(st.recursive(st.none() | st.integers() | st.text() | st.floats(), lambda inner: st.lists(inner, max_size=4)))
def test_entry__any_fields__never_raise(value):
    for field in ("MESSAGE", "__MONOTONIC_TIMESTAMP", "__REALTIME_TIMESTAMP"):
        parse_entry(an_entry("NVRM: Xid (PCI:0000:01:00): 13, x", **{field: value}))


@given(
    st.integers(0, 0xFFFF), st.integers(0, 255), st.integers(0, 31), st.integers(1, 999),
    st.sampled_from(["", "pid=12, ", "pid='<unknown>', ", "pid=12, name=a b, ", "name=<unknown>, "]),
    st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=80),
)  # fmt: skip
def test_xid__any_report__comes_back_with_its_words(domain, bus, device, code, who, words):
    line = f"NVRM: Xid (PCI:{domain:04x}:{bus:02x}:{device:02x}): {code}, {who}{words}"
    assert parse_xid(line) == (f"{domain:04x}:{bus:02x}:{device:02x}", code, (who + words).strip())
