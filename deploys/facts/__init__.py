"""Custom pyinfra facts."""

from deploys.facts.agent import AgentAnswer, Answer, parse_answer, probe
from deploys.facts.host import FileFact, HostFacts, Observed, parse_facts, script

__all__ = [
    "AgentAnswer",
    "Answer",
    "FileFact",
    "HostFacts",
    "Observed",
    "parse_answer",
    "parse_facts",
    "probe",
    "script",
]
