#!/usr/bin/env python3
"""Whoever starts the daemon gives it the time to stop that its config has by default, and that of the shipped configs."""

import json
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_MS = json.loads((ROOT / "config/schema.json").read_text())["properties"]["shutdown_timeout_ms"]["default"]


def seconds(path, pattern):
    """The one number that the pattern finds."""
    [number] = re.findall(pattern, (ROOT / path).read_text(), re.MULTILINE)
    return int(number)


CONFIGS = [ROOT / "docker/debian/config.json", ROOT / "config/example.json", *(ROOT / "config/examples").glob("*.json")]
MARGIN_S = seconds("target/daemon/service_manager.h", r"kStoppingMargin{(\d+)}")
GIVEN_S = {
    "compose": seconds("docker/compose.yaml", r"^ +stop_grace_period: (\d+)s$"),
    "Kubernetes": seconds("docker/kubernetes/daemonset.yaml", r"^ +terminationGracePeriodSeconds: (\d+)$"),
    "systemd": seconds("docker/systemd/nvmf-p2p.service", r"^TimeoutStopSec=(\d+)$"),
    "check": seconds("target/daemon/resource_check.cpp", r"kShippedGrace{(\d+)}"),
}


# So long the daemon waits for commands that a disk has; a process that ends sooner leaves them to the disk, while hosts
# repeat them by other paths.
QUIESCE_MS = int(re.search(r"kQuiesceTimeoutMs = ([\d']+)", (ROOT / "target/core/datapath/limits.h").read_text())[1].replace("'", ""))


class StopTime(unittest.TestCase):
    def test_commands_have_the_time_that_a_disk_may_take(self):
        self.assertGreater(DEFAULT_MS, QUIESCE_MS)
        for config in CONFIGS:
            for timeout_ms in re.findall(r'"shutdown_timeout_ms": (\d+)', config.read_text()):
                self.assertGreater(int(timeout_ms), QUIESCE_MS, config)

    def test_all_give_the_same(self):
        self.assertEqual(len(set(GIVEN_S.values())), 1, GIVEN_S)

    def test_it_is_enough_for_the_default(self):
        for who, given in GIVEN_S.items():
            self.assertGreaterEqual(given, DEFAULT_MS / 1000 + MARGIN_S, who)

    def test_it_is_enough_for_every_shipped_config(self):
        for config in CONFIGS:
            for timeout_ms in re.findall(r'"shutdown_timeout_ms": (\d+)', config.read_text()):
                self.assertGreaterEqual(GIVEN_S["compose"], int(timeout_ms) / 1000 + MARGIN_S, config)


if __name__ == "__main__":
    unittest.main()
