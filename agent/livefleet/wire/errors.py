"""What goes wrong on the wire.

LivefleetError
|- Refused
|  |- MalformedPayment   402, the header `Livepeer-Payment` cannot be read
|  `- BadCredentials     403, the header `Livepeer-Segment` is refused
|- Transient
|  |- FrontDoorClosed    nginx did not come up or went away
|  |- CertificateUnusable the files of the front door's certificate cannot be shown
|  `- OrchestratorGone   the connection of a worker to its orchestrator broke
`- Terminal
   |- NginxMissing       nginx is not installed
   `- NotWelcome         an orchestrator refused the worker for good
"""

from livefleet.kernel import Refused, Terminal, Transient

__all__ = [
    "BadCredentials",
    "CertificateUnusable",
    "FrontDoorClosed",
    "MalformedPayment",
    "NginxMissing",
    "NotWelcome",
    "OrchestratorGone",
]


class MalformedPayment(Refused):
    """The payment header is neither empty nor base64 of a Payment."""

    def __init__(self, text: str) -> None:
        super().__init__(text, status=402)


class BadCredentials(Refused):
    """The segment header was refused; the text says which check failed."""

    def __init__(self, text: str) -> None:
        super().__init__(text, status=403)


class FrontDoorClosed(Transient):
    """The front door is not open; `reason` is nginx's own last words where it had any."""

    def __init__(self, listen: str, reason: str) -> None:
        super().__init__(f"the front door on {listen} is closed: {reason}")
        self.listen = listen
        self.reason = reason


class NginxMissing(Terminal):
    """There is no nginx to open the front door with."""

    def __init__(self) -> None:
        super().__init__(
            "nginx is not installed and the front door needs it: apt-get install nginx-light (or nginx);"
            " its system service is not used and may stay off"
        )


class CertificateUnusable(Transient):
    """The files that were declared as the front door's certificate are none that can be shown. They may become so."""


class OrchestratorGone(Transient):
    """The stream to the orchestrator ended or could not be opened."""

    def __init__(self, orchestrator: str, reason: str) -> None:
        super().__init__(f"lost orchestrator {orchestrator}: {reason}")
        self.orchestrator = orchestrator


class NotWelcome(Terminal):
    """The orchestrator will never take this worker as it is (`invalid secret`, `zero capacity`)."""

    def __init__(self, orchestrator: str, text: str) -> None:
        super().__init__(f"orchestrator {orchestrator} refused this worker: {text}")
        self.orchestrator = orchestrator
        self.text = text
