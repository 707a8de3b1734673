#!/usr/bin/env python3
"""The Grafana dashboard and the alert rules ask only for metrics and labels that the daemon has. Argument: the unit tests of the daemon."""

import json
import pathlib
import re
import sys
import unittest

sys.dont_write_bytecode = True
import metrics_text  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALERTS = (ROOT / "docker/prometheus-alerts.yaml").read_text()
DASHBOARD = json.loads((ROOT / "docker/grafana-dashboard.json").read_text())
METRICS = metrics_text.written_by(sys.argv.pop(1))


def families() -> dict[str, str]:
    """Types by name."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", METRICS, re.MULTILINE))


def sampled() -> set[str]:
    return {name for name, kind in families().items() for end in ([""] if kind != "histogram" else ["_bucket"]) if re.search(rf"^{name}{end}[{{ ]", METRICS, re.MULTILINE)}


def expressions() -> list[str]:
    queries = [variable["query"]["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]
    return queries + [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def labels_of(metric: str) -> set[str]:
    return {label for line in re.findall(rf"^{metric}(?:_bucket)?{{(.*)}} ", METRICS, re.MULTILINE) for label in re.findall(r'(\w+)="', line)}


class Dashboard(unittest.TestCase):
    def test_every_metric_in_it_exists(self):
        known = {name + end for name, kind in families().items() for end in ([""] if kind != "histogram" else ["_bucket", "_sum", "_count"])}
        for expression in expressions():
            named = re.findall(r"\bnvmf_\w+", expression)
            self.assertTrue(named, expression)
            self.assertLessEqual(set(named), known, expression)

    def test_every_metric_and_label_in_the_alert_rules_exists(self):
        rules = re.findall(r"^ +expr: (.*)$", ALERTS, re.MULTILINE)
        self.assertGreater(len(rules), 5)
        for rule in rules:
            for metric, filters in re.findall(r"\b(nvmf_\w+)(?:{([^}]*)})?", rule):
                self.assertIn(metric, families(), rule)
                self.assertLessEqual(set(re.findall(r'(\w+)="', filters)), labels_of(metric), rule)

    def test_every_label_in_a_legend_or_a_filter_exists(self):
        empty = set(families()) - sampled()
        for panel in DASHBOARD["panels"]:
            for target in panel["targets"]:
                metric = re.search(r"\bnvmf_\w+", target["expr"])[0].removesuffix("_bucket")
                if metric in empty:
                    continue
                wanted = set(re.findall(r"{{(\w+)}}", target["legendFormat"])) | set(re.findall(r'(\w+)(?:=~|!=|=)"', target["expr"]))
                self.assertLessEqual(wanted, labels_of(metric), f"{panel['title']}: {target['expr']}")

    def test_panels_have_numbers_of_their_own_and_do_not_overlap(self):
        self.assertEqual(len({panel["id"] for panel in DASHBOARD["panels"]}), len(DASHBOARD["panels"]))
        cells = [(x, y) for panel in DASHBOARD["panels"] for place in [panel["gridPos"]] for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])]
        self.assertEqual(len(cells), len(set(cells)))


if __name__ == "__main__":
    unittest.main()
