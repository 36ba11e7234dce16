"""An apply that is asked to stop, over a process that tells what a deploy tells."""

import textwrap

import pytest

from livefleet.control import ApplyOptions, Outcome, apply
from livefleet.control.apply import ApplyCutOff
from livefleet.control.stop import Stop

pytestmark = pytest.mark.unit

DEPLOY = """
    import json, sys, time
    from pathlib import Path

    def tell(event, **fields):
        print(json.dumps({"event": event, **fields}), flush=True)

    tell("begin", hosts=["one", "two", "three"], dry=False)
    for host, changes in (("one", ["config"]), ("two", ["config"]), ("three", [])):
        tell("planned", host=host, changes=changes)
    for host, step in (("one", "preflight"), ("two", "preflight"), ("three", "config"), ("one", "config")):
        tell("step", host=host, step=step)
    time.sleep(%s)
    tell("done", host="one", step="config", changed=True)
    tell("end")
"""


def run(folder, *, takes_s: float, grace_s: float):
    (folder / "deploys").mkdir()
    (folder / "deploys/__init__.py").write_text("")
    (folder / "deploys/run.py").write_text(textwrap.dedent(DEPLOY % takes_s))
    (folder / "fleet.yaml").write_text("")
    stop = Stop()

    def heard(event):
        if event.event == "step" and event.step == "config" and event.host == "one":
            stop.ask()

    return apply(
        folder / "fleet.yaml", ApplyOptions(), on_event=heard, checkout=folder, stop=stop, stop_grace_s=grace_s
    )


def test_stop__it_does_not_end_in_time__is_cut_off_and_says_which_hosts_were_begun(tmp_path):
    with pytest.raises(ApplyCutOff) as cut:
        run(tmp_path, takes_s=300, grace_s=0.1)
    assert cut.value.begun == {"one"}  # two had only been looked at, and three has nothing to change


def test_stop__it_ends_in_time__is_as_if_nobody_had_asked(tmp_path):
    summary = run(tmp_path, takes_s=0.5, grace_s=300)
    assert [host.outcome for host in summary.hosts] == [Outcome.CHANGED, Outcome.UNCHANGED, Outcome.UNCHANGED]
