"""Dashboards for Grafana, built from code. Grafana's own library draws them, and is imported when one is drawn."""

from collections.abc import Mapping

from livefleet.kernel import BadInput
from livefleet.monitoring.dashboards.board import Board, Kind, Panel, Query, Row, Unit, Variable
from livefleet.monitoring.dashboards.drawing import drawn
from livefleet.monitoring.dashboards.fleet import fleet_board
from livefleet.monitoring.dashboards.gpu import gpu_board
from livefleet.monitoring.dashboards.live import live_board
from livefleet.monitoring.dashboards.models import models_board
from livefleet.monitoring.dashboards.node import node_board
from livefleet.monitoring.dashboards.payments import payments_board

__all__ = ["Board", "Kind", "Panel", "Query", "Row", "Unit", "Variable", "boards", "dashboards"]


def boards() -> tuple[Board, ...]:
    """Every dashboard as data."""
    return (fleet_board(), node_board(), gpu_board(), payments_board(), models_board(), live_board())


def dashboards(runbook_url: str | None = None) -> Mapping[str, str]:
    """Every dashboard's JSON by its file's name.

    `runbook_url`: where RUNBOOK.md can be read; None: panels name the alerts, and link nothing. Raises BadInput where
    Grafana's library is not installed.
    """
    try:
        return {f"{board.name}.json": drawn(board, runbook_url) for board in boards()}
    except ModuleNotFoundError as error:
        raise BadInput(
            f"dashboards are drawn by the package grafana-foundation-sdk, which this installation of livefleet lacks"
            f" ({error.name}): an operator's machine wants `pip install 'livefleet[control]'`"
        ) from error
