"""Reads the dashboards as Grafana does: panels, queries, variables put into them."""

import json
import re

from tests.deploy.files import DEPLOY

FOLDER = DEPLOY / "grafana"
# Grafana's rate interval is four scrapes at the least; the test servers scrape every second.
GRAFANA_S_OWN = {"__rate_interval": "10s", "__interval": "5s", "__range": "5m"}


def dashboards():
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("dashboards/*.json"))]


def panels():
    """Every panel of every dashboard, also those in rows that are folded up."""
    found = [panel for board in dashboards() for panel in board["panels"]]
    return [each for panel in found for each in (panel, *panel.get("panels", []))]


def queries():
    """(title of the panel, expression) of every query, variables not yet put in."""
    return [
        (panel["title"], target["expr"])
        for panel in panels()
        for target in panel.get("targets", [])
    ]


def variables():
    return {one["name"]: one for board in dashboards() for one in board["templating"]["list"]}


def interpolated(expression, **values):
    """The expression with variables put in; the longest name first, as `$a` begins `$ab`."""
    known = {**GRAFANA_S_OWN, **values}
    for name in sorted(known, key=len, reverse=True):
        expression = re.sub(rf"\$(?:{name}\b|{{{name}(:\w+)?}})", known[name], expression)
    assert "$" not in re.sub(r'"\$\d"', "", expression), expression
    return expression
