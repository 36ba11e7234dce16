"""A reboot in the middle of a deploy: asked for where a marker is there, and waited for with a bound."""

import shlex
import time
from typing import Any

from pyinfra.api import Host, State, StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.util import CommandOutput, OutputLine

__all__ = ["RebootCommand"]

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_LOOK_EVERY_S = 2.0
_ANSWER_S = 30


class RebootCommand(StringCommand):
    """Does nothing where the marker is absent; else reboots and returns when the host answers from another boot.

    By boot id, not by uptime: a host that had itself just booted would never be believed.
    """

    def __init__(self, when: str, within_s: float) -> None:
        # Apart from the session, which would otherwise never be told that its command ended.
        super().__init__(
            f"if [ -e {shlex.quote(when)} ]; then cat {_BOOT_ID}; rm -f {shlex.quote(when)}; sync;"
            " (sleep 1; systemctl reboot || reboot) </dev/null >/dev/null 2>&1 & fi"
        )
        self._within_s = within_s

    def execute(self, state: State, host: Host, connector_arguments: Any) -> tuple[bool, CommandOutput]:
        """As pyinfra runs a shell command: whether it went well, and what was printed."""
        done, output = super().execute(state, host, connector_arguments)
        before = output.stdout.strip()
        if not done or not before:
            return done, output
        host.disconnect()
        deadline = time.monotonic() + self._within_s
        while time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)
            if self._boot_id(host, connector_arguments) not in ("", before):
                return True, CommandOutput([])
        told = (
            f"the host does not answer {self._within_s:g} s after its reboot: look at its console; the change of the"
            " driver"
            " goes on with the next apply (a host that takes longer wants `driver: {reboot_timeout_s: ...}`)"
        )
        return False, CommandOutput([OutputLine("stderr", told)])

    def _boot_id(self, host: Host, connector_arguments: Any) -> str:
        try:
            host.connect(show_errors=False, raise_exceptions=True)
            command = StringCommand(f"cat {_BOOT_ID}")
            done, output = host.run_shell_command(command, **{**connector_arguments, "_timeout": _ANSWER_S})
        except (ConnectError, OSError, EOFError, TimeoutError):
            done, output = False, CommandOutput([])
        found = output.stdout.strip() if done else ""
        if not found and host.connected:
            host.disconnect()
        return found
