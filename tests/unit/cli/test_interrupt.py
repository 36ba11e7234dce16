"""Ctrl-C and SIGTERM: what the first and the second do, by real signals to a process."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from livefleet.cli.interrupt import Interrupt

pytestmark = pytest.mark.unit

PROGRAM = """
    import os, signal, sys
    from livefleet.cli.interrupt import Interrupt

    def end():
        os.write(1, b"child ended;")

    with Interrupt(asked="asked", left="left") as interrupt, interrupt.stop.ending(end):
        interrupt.hold()
        for number in sys.argv[1:]:
            os.kill(os.getpid(), int(number))
        print(interrupt.stop.is_asked, interrupt.stop.wait(30))
"""


def heard(*numbers: int) -> tuple[int, str, str]:
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), *map(str, map(int, numbers))]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal__asks_for_an_end_and_wakes_who_sleeps(number):
    assert heard(number) == (0, "True True", "asked")


def test_second_signal__ends_child_processes_and_leaves_at_once():
    assert heard(signal.SIGINT, signal.SIGTERM) == (128 + signal.SIGTERM, "child ended;", "asked\n\nleft")


def test_before_anything_is_changed__both_are_a_keyboard_interrupt_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), Interrupt(asked="asked", left="left") as interrupt:
        os.kill(os.getpid(), signal.SIGTERM)
    assert not interrupt.stop.is_asked
    assert signal.getsignal(signal.SIGTERM) is before
