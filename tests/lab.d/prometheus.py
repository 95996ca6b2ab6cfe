"""What is made for Prometheus and Grafana, asked of a Prometheus that scrapes a mytls that clients have worked through.

    prometheus.py dashboard URL FILE    each expression of the dashboard, as Grafana asks it
    prometheus.py alerts URL FILE       the rules as they were loaded: all is well, and what they look at is there

One line a check: `ok   NAME` or `FAIL NAME -> why`."""

import json
import math
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# What has nothing to show while all is well, and why. One that has something is no exception any more.
EMPTY = {
    "Starts": "mytls has not been started again",
    "Limits hit": "no client has run into one",
    "Would be refused": "rules are enforced",
    "Dials that failed": "the server is there",
}
SCRAPED_SECONDS = 1  # the lab's own interval
SHOWN_SECONDS = 60  # what a panel shows, up to now; Prometheus has run for less

COMMAND, URL, FILE = sys.argv[1:]
with open(FILE, encoding="utf-8") as source:
    TEXT = source.read()


def ask(path, **parameters):
    """The data of an answer of Prometheus' HTTP API; an error or a warning is an exception."""
    address = f"{URL}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(address, timeout=30) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error
    if answer["status"] != "success" or answer.get("warnings") or answer.get("infos"):
        raise AssertionError(json.dumps(answer))
    return answer["data"]


def check(name, act):
    try:
        act()
        print("ok  ", name)
    except Exception as error:  # whatever it is: the others are still to be checked
        print("FAIL", name, "->", f"{error}".replace("\n", " ")[:400])


def require(condition, why):
    if not condition:
        raise AssertionError(why)


# ---- the dashboard -----------------------------------------------------------------------------------------------------


def check_dashboard():
    dashboard = json.loads(TEXT)
    values = {"__rate_interval": f"{4 * SCRAPED_SECONDS}s"}  # the least that Grafana makes of it
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            check(f"variable {variable['name']}", lambda: fill_in(variable, values))
    asked = [(note["name"], note["expr"], "", False) for note in dashboard["annotations"]["list"]]
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            asked.append((panel["title"], target["expr"], target["legendFormat"], target["instant"]))
    for title, expression, legend, instant in asked:
        name = f"{title}: {expression}"
        check(name, lambda: check_expression(title, interpolated(expression, values), legend, instant))
    for title in EMPTY.keys() - {title for title, *_ in asked}:
        check(f"exception {title}", lambda: require(False, "there is no such panel"))


def fill_in(variable, values):
    """Finds the values of a variable by its query, and keeps them as Grafana writes "All" into a regular expression."""
    selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
    found = ask(f"label/{label}/values", **{"match[]": interpolated(selector, values)})
    require(found, f"{selector} has no label {label}")
    escaped = [re.sub(r"[\\^$*+?.()|{}\[\]]", r"\\\\\g<0>", value) for value in found]
    values[variable["name"]] = escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def interpolated(expression, values):
    filled = re.sub(r"\$(\w+)", lambda match: values[match[1]], expression)
    require("$" not in filled, f"a variable is left in {filled}")
    return filled


def check_expression(title, expression, legend, instant):
    now = time.time()
    if instant:
        series = ask("query", query=expression)["result"]
        points = [each["value"] for each in series]
    else:
        series = ask("query_range", query=expression, start=now - SHOWN_SECONDS, end=now, step=1)["result"]
        points = [point for each in series for point in each["values"]]
    has_data = any(math.isfinite(float(value)) for _, value in points)
    if title in EMPTY:
        require(not has_data, f"has data, although {EMPTY[title]}: {series}")
        return
    require(has_data, "shows nothing after real clients")
    for each in series:
        missing = set(re.findall(r"\{\{(\w+)\}\}", legend)) - each["metric"].keys()
        require(not missing, f"the legend asks for {missing}, there is {each['metric']}")


# ---- the alerts --------------------------------------------------------------------------------------------------------


def check_alerts():
    rules = evaluated_rules()
    written = re.findall(r"^ *- alert: (\w+)$", TEXT, re.MULTILINE)
    check("all alerts are loaded", lambda: require([rule["name"] for rule in rules] == written, f"only {rules}"))
    for rule in rules:
        check(f"{rule['name']} is at rest", lambda: check_rest(rule))
        check(f"{rule['name']} looks at what there is", lambda: check_series(rule))


def evaluated_rules():
    """The rules, once each has been tried."""
    until = time.monotonic() + 20
    while True:
        rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
        if rules and all(rule["health"] != "unknown" for rule in rules):
            return rules
        require(time.monotonic() < until, f"not evaluated in 20 s: {rules}")
        time.sleep(0.1)


def check_rest(rule):
    require(rule["health"] == "ok", rule.get("lastError"))
    require(rule["state"] == "inactive", f"{rule['state']}: {rule['alerts']}")


def check_series(rule):
    """An alert on a series or a label that mytls does not have would be at rest for ever."""
    query = rule["query"]
    labels = set()
    for selector in set(re.findall(r"\b(?:(?:mytls|process)_\w+|up\b)(?:\{[^}]*\})?", query)):
        series = ask("query", query=selector)["result"]
        require(series, f"there is no {selector}")
        labels.update(*(each["metric"].keys() for each in series))
    wanted = re.findall(r"\b(?:by|on) \(([^)]*)\)", query)
    wanted += re.findall(r"\$labels\.(\w+)", "".join(rule["annotations"].values()))
    missing = {label for each in wanted for label in re.findall(r"\w+", each)} - labels
    require(not missing, f"none of its series has {missing}")


{"dashboard": check_dashboard, "alerts": check_alerts}[COMMAND]()
