"""Custom pyinfra facts."""

from deploys.facts.agent import AgentAnswer, Answer, parse_answer, probe
from deploys.facts.driver import DriverFacts, Listener, Offer, Package
from deploys.facts.host import FileFact, HostFacts, Observed, parse_facts, script
from deploys.facts.monitoring import ProgramFact
from deploys.facts.safety import SafetyFacts, Sysctl

__all__ = [
    "AgentAnswer",
    "Answer",
    "DriverFacts",
    "FileFact",
    "HostFacts",
    "Listener",
    "Observed",
    "Offer",
    "Package",
    "ProgramFact",
    "SafetyFacts",
    "Sysctl",
    "parse_answer",
    "parse_facts",
    "probe",
    "script",
]
