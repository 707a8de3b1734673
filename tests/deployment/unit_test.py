#!/usr/bin/env python3
"""The systemd unit leaves the daemon no more than it needs, and all that it needs. Exit code 77: there is no systemd-analyze."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SKIPPED = 77
ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "docker/systemd/nvmf-p2p.service"
DROP_IN = ROOT / "docker/systemd/single-devices.conf"
MOST_EXPOSURE = 1.5  # of 10, as `systemd-analyze security` counts


def settings(text):
    """The values of each key, in order."""
    found = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(key, []).extend(value.split())
    return found


def exposure(unit):
    said = subprocess.run(["systemd-analyze", "security", "--offline=yes", str(unit)], capture_output=True, text=True, check=True)
    return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)[1])


class Unit(unittest.TestCase):
    def test_its_exposure_is_small(self):
        self.assertLessEqual(exposure(UNIT), MOST_EXPOSURE)

    def test_it_is_also_small_with_single_devices(self):
        with tempfile.TemporaryDirectory() as folder:
            unit = pathlib.Path(folder) / UNIT.name
            unit.write_text(UNIT.read_text())
            drop_ins = pathlib.Path(folder) / f"{UNIT.name}.d"
            drop_ins.mkdir()
            (drop_ins / DROP_IN.name).write_text(DROP_IN.read_text())
            self.assertLessEqual(exposure(unit), MOST_EXPOSURE)

    def test_systemd_understands_every_line(self):
        said = subprocess.run(["systemd-analyze", "verify", "--man=no", str(UNIT)], capture_output=True, text=True, check=False)
        # The program is not installed where it is built.
        complaints = [line for line in said.stderr.splitlines() if "nvmf-p2p.service" in line and "is not executable" not in line]
        self.assertEqual(complaints, [])

    def test_it_has_what_the_daemon_needs(self):
        unit = settings(UNIT.read_text())
        self.assertEqual(set(unit["RestrictAddressFamilies"]), {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"})
        self.assertLessEqual({"/dev/infiniband/rdma_cm", "char-infiniband_verbs", "char-nvme", "char-nvme-generic", "char-dax", "block-*"}, set(unit["DeviceAllow"]))
        self.assertLessEqual({"io_uring_setup", "io_uring_enter", "io_uring_register"}, set(unit["SystemCallFilter"]))
        self.assertEqual(unit["LimitMEMLOCK"], ["infinity"])
        self.assertIn("/sys/devices", unit["ReadWritePaths"])  # p2pmem/allocate
        self.assertIn("localhost", unit["IPAddressAllow"])


if __name__ == "__main__":
    if shutil.which("systemd-analyze") is None:
        print("SKIPPED: there is no systemd-analyze; apt install systemd")
        sys.exit(SKIPPED)
    sys.dont_write_bytecode = True
    unittest.main()
