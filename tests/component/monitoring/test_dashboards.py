"""The dashboards' queries: taken by promtool, and answered by a real Prometheus that reads a real agent."""

import json
import re

import pytest

from livefleet.monitoring.dashboards import boards
from livefleet.monitoring.promql import selectors
from tests.builders.agents import an_agent
from tests.builders.metrics import Scrape, the_table
from tests.builders.monitored import a_prometheus, checked, wait_for, write_files

pytestmark = [pytest.mark.component, pytest.mark.timeout(180)]


def asked(expr, **chosen):
    """The query as Grafana sends it."""
    found = expr.replace("$__rate_interval", "3s")
    for variable in ("fleet", "node", "gpu"):
        found = found.replace(f"${variable}", chosen.get(variable, ".*"))
    assert "$" not in found, found
    return found


def metrics_of(query):
    return {re.sub(r"_bucket$", "", selector.metric) for selector in selectors(query.expr)}


def test_queries__all__are_taken_by_promtool(tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": asked(expr)}
        for number, expr in enumerate(
            query.expr for board in boards() for panel in board.panels for query in panel.queries
        )
    ]
    write_files(tmp_path, {"rules.yml": json.dumps({"groups": [{"name": "panels", "rules": rules}]})})
    said = checked(["promtool", "check", "rules", "rules.yml"], tmp_path)
    assert f"SUCCESS: {len(rules)} rules found" in said


def test_queries__plain_node_off_chain__have_data_for_all_that_it_exports(short_path):
    with an_agent(short_path / "node", role="orchestrator", gpus="none") as agent:
        scrape = Scrape.of(agent.get("/metrics")[1])
        shown = {sample.name for sample in scrape.samples} | {"up"}
        target = {"targets": [agent.admin], "labels": {"fleet": "test", "node": "node", "role": "orchestrator"}}
        config = {
            "global": {"scrape_interval": "500ms"},
            "scrape_configs": [{"job_name": "livefleet", "static_configs": [target]}],
        }
        write_files(short_path / "prometheus", {"prometheus.yml": json.dumps(config)})
        with a_prometheus(short_path / "prometheus") as prometheus:
            wait_for(lambda: prometheus.query("count_over_time(livefleet_node_ready[1m]) > 2"), "three scrapes")
            answered, silent = set(), []
            for board in boards():
                for panel in board.panels:
                    for query in panel.queries:
                        names = {selector.metric for selector in selectors(query.expr)}
                        if not names <= shown:
                            continue
                        everything = re.sub(r" (==|<|>) \w+$", "", asked(query.expr, fleet="test", node="node"))
                        found = prometheus.query(everything)
                        answered |= metrics_of(query) if found else set()
                        silent += [] if found else [(board.name, panel.title, everything)]
            assert silent == []
            assert prometheus.query(asked('up{fleet=~"$fleet",node=~"$node"}', node="another")) == []
    plain = {row.name for row in the_table().values() if row.on & {"node", "orch"}}
    of_node = {name for panel in boards()[1].panels for query in panel.queries for name in metrics_of(query)}
    assert (of_node & plain) - answered == set()
