"""`python -m livefleet` is the `livefleet` command."""

from livefleet.cli import main

main()
