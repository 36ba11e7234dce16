"""A board as Grafana's JSON, by Grafana's own foundation SDK, which only the operator's side has."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, assert_never

from livefleet.kernel.late import late
from livefleet.monitoring.dashboards.board import Board, Kind, Panel, Query, Unit, Variable

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import common as options
    from grafana_foundation_sdk.builders import dashboard as build
    from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
    from grafana_foundation_sdk.cog import encoder
    from grafana_foundation_sdk.models import common as choices
    from grafana_foundation_sdk.models import dashboard as models
    from grafana_foundation_sdk.models import prometheus as formats
else:
    options = late("grafana_foundation_sdk.builders.common")
    build = late("grafana_foundation_sdk.builders.dashboard")
    prometheus = late("grafana_foundation_sdk.builders.prometheus")
    stat = late("grafana_foundation_sdk.builders.stat")
    statetimeline = late("grafana_foundation_sdk.builders.statetimeline")
    table = late("grafana_foundation_sdk.builders.table")
    timeseries = late("grafana_foundation_sdk.builders.timeseries")
    encoder = late("grafana_foundation_sdk.cog.encoder")
    choices = late("grafana_foundation_sdk.models.common")
    models = late("grafana_foundation_sdk.models.dashboard")
    formats = late("grafana_foundation_sdk.models.prometheus")

__all__ = ["drawn"]

_TAG: Final = "livefleet"
_WIDTH: Final = 24
_SIZES: Final = {Kind.STAT: (4, 4), Kind.TIME: (8, 7), Kind.TABLE: (12, 8), Kind.STATES: (12, 8)}  # of Grafana's grid
_ASKED: Final = {
    Variable.FLEET: 'label_values(up{job="livefleet"}, fleet)',
    Variable.NODE: 'label_values(up{job="livefleet",fleet=~"$fleet"}, node)',
    Variable.GPU: 'label_values(livefleet_gpu_info{fleet=~"$fleet",node=~"$node"}, gpu)',
}


def drawn(board: Board, runbook_url: str | None) -> str:
    """The dashboard's JSON: the same text for the same board. `runbook_url`: where RUNBOOK.md can be read."""
    drawing = (
        build.Dashboard(board.title)
        .uid(board.name)
        .description(board.description)
        .tags([_TAG])
        .readonly()
        .refresh("10s" if board.since == "now-30m" else "1m")
        .time(board.since, "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(build.DashboardLink("livefleet").type(models.DashboardLinkType.DASHBOARDS).tags([_TAG])
              .as_dropdown(as_dropdown=True).include_vars(include_vars=True).keep_time(keep_time=True))
        .with_variable(build.DatasourceVariable("datasource").label("data source").type("prometheus"))
    )  # fmt: skip
    if runbook_url:
        drawing.link(
            build.DashboardLink("Runbook")
            .type(models.DashboardLinkType.LINK)
            .url(runbook_url)
            .target_blank(target_blank=True)
        )
    for variable in board.variables:
        drawing.with_variable(_variable(variable))
    numbered = iter(range(1, 10_000))
    top = 0
    for row in board.rows:
        drawing.with_row(build.Row(row.title).id(next(numbered)).grid_pos(models.GridPos(h=1, w=_WIDTH, x=0, y=top)))
        places = list(_places([_SIZES[each.kind] for each in row.panels], top + 1))
        for each, place in zip(row.panels, places, strict=True):
            drawing.with_panel(_panel(each, runbook_url).id(next(numbered)).grid_pos(place))
        top = max(place.y + place.h for place in places)
    plain = json.loads(json.dumps(drawing.build(), cls=encoder.JSONEncoder))
    return json.dumps(_without_nothing(plain), indent=2, sort_keys=True) + "\n"


def _without_nothing(value: Any) -> Any:
    """Grafana has defaults for what is not there; of the nulls a threshold's alone means something: no lower end."""
    match value:
        case dict():
            return {key: _without_nothing(each) for key, each in value.items() if each is not None or key == "value"}
        case list():
            return [_without_nothing(each) for each in value]
        case _:
            return value


def _source() -> "models.DataSourceRef":
    return models.DataSourceRef(type_val="prometheus", uid="${datasource}")


def _variable(variable: Variable) -> "build.QueryVariable":
    return (
        build.QueryVariable(variable.value)
        .label(variable.value)
        .datasource(_source())
        .query({"query": _ASKED[variable], "refId": "values"})
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(models.VariableOption(text="All", value="$__all"))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def _places(sizes: Sequence[tuple[int, int]], top: int) -> Iterator["models.GridPos"]:
    """From left to right, in lines as high as their highest panel."""
    left, height = 0, 0
    for width, high in sizes:
        if left + width > _WIDTH:
            left, top, height = 0, top + height, 0
        yield models.GridPos(h=high, w=width, x=left, y=top)
        left, height = left + width, max(height, high)


def _panel(panel: Panel, runbook_url: str | None) -> Any:
    """The SDK's builder of a panel."""
    drawing = _of_kind(panel).title(panel.title).description(_told(panel)).datasource(_source())
    if panel.kind is not Kind.STATES:
        drawing = drawing.unit(panel.unit.value)
    if panel.unit in {Unit.PERCENT, Unit.RATIO}:
        drawing = drawing.min(0).max(100 if panel.unit is Unit.PERCENT else 1)
    if runbook_url and panel.alerts:
        drawing = drawing.links([
            build.DashboardLink(f"Runbook: {alert}").type(models.DashboardLinkType.LINK)
            .url(f"{runbook_url}#{alert.lower()}").target_blank(target_blank=True)
            for alert in panel.alerts
        ])  # fmt: skip
    for number, query in enumerate(panel.queries):
        drawing = drawing.with_target(_target(panel.kind, query, chr(ord("A") + number)))
    return drawing


def _told(panel: Panel) -> str:
    if not panel.alerts:
        return panel.description
    return f"{panel.description} Alerts: {', '.join(panel.alerts)} (RUNBOOK.md).".strip()


def _of_kind(panel: Panel) -> Any:
    match panel.kind:
        case Kind.TIME:
            legend = options.VizLegendOptions().display_mode(choices.LegendDisplayMode.LIST)
            return timeseries.Panel().fill_opacity(5).legend(legend.placement(choices.LegendPlacement.BOTTOM))
        case Kind.STAT:
            return stat.Panel().reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]))
        case Kind.TABLE:
            return table.Panel()
        case Kind.STATES:
            return statetimeline.Panel().show_value(choices.VisibilityMode.NEVER).thresholds(_well())
        case _:
            assert_never(panel.kind)


def _well() -> "build.ThresholdsConfig":
    steps = [(None, "yellow"), (0.0, "red"), (1.0, "green")]
    return (
        build.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in steps])
    )


def _target(kind: Kind, query: Query, ref: str) -> "prometheus.Dataquery":
    target = prometheus.Dataquery().ref_id(ref).expr(query.expr).legend_format(query.legend)
    if kind is Kind.TABLE:
        return target.instant().format(formats.PromQueryFormat.TABLE)
    return target.range()
