#!/usr/bin/env python3
"""`nvmf-p2p doctor` with files that were saved elsewhere, with another user's rights, and its drop-in for GRUB: doctor_test.py PROGRAM."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop(1) if len(sys.argv) > 1 else "nvmf-p2p"
TIMEOUT_S = 60
ACS = 0x001D005F  # capability, and control with P2P Request and Completion Redirect


class Tree:
    """A machine with a switch whose ports redirect, and an SSD with CMB and an RNIC below: as --save leaves it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.file("/proc/sys/kernel/osrelease", "7.3.4+deb13-amd64\n")
        self.file("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel name\t: AMD EPYC 9354\n\n")
        up = "/sys/devices/pci0000:20/0000:20:01.1/0000:21:00.0"
        for bdf in ("0000:22:00.0", "0000:22:01.0"):
            self.pci(f"{up}/{bdf}", ACS)
        ssd, rnic = f"{up}/0000:22:01.0/0000:24:00.0", f"{up}/0000:22:00.0/0000:23:00.0"
        self.pci("/sys/devices/pci0000:20/0000:20:01.1")
        self.pci(up)
        self.pci(ssd)
        self.pci(rnic)
        for name, text in (("transport", "pcie"), ("model", "Example SSD"), ("serial", "S1"), ("state", "live"), ("cmbsz", "0x0004021d"), ("nvme0n1/nsid", "1"), ("nvme0n1/size", "2048")):
            self.file(f"{ssd}/nvme/nvme0/{name}", text + "\n")
        self.link(f"{ssd}/nvme/nvme0/device", ssd)
        self.link("/sys/class/nvme/nvme0", f"{ssd}/nvme/nvme0")
        for name, text in (("size", 64 << 20), ("available", 63 << 20), ("published", 1), ("allocate", "")):
            self.file(f"{ssd}/p2pmem/{name}", f"{text}\n")
        self.file("/sys/bus/pci/drivers/mlx5_core/bind", "")
        self.link(f"{rnic}/driver", "/sys/bus/pci/drivers/mlx5_core")
        for name, text in (("node_type", "1: CA"), ("ports/1/state", "4: ACTIVE"), ("ports/1/link_layer", "Ethernet"), ("ports/1/gid_attrs/ndevs/0", "eth0")):
            self.file(f"{rnic}/infiniband/mlx5_0/{name}", text + "\n")
        self.link(f"{rnic}/infiniband/mlx5_0/device", rnic)
        self.link("/sys/class/infiniband/mlx5_0", f"{rnic}/infiniband/mlx5_0")

    def file(self, path, content):
        at = self.folder / path[1:]
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(content if isinstance(content, bytes) else content.encode())

    def link(self, path, target):
        at = self.folder / path[1:]
        at.parent.mkdir(parents=True, exist_ok=True)
        at.symlink_to(os.path.relpath(target, os.path.dirname(path)))

    def pci(self, path, acs=None):
        config = bytearray(4096)
        if acs is not None:
            config[0x100:0x108] = (0x0001000D).to_bytes(4, "little") + acs.to_bytes(4, "little")
        for name, content in (("vendor", b"0x1b36\n"), ("device", b"0x0010\n"), ("class", b"0x060400\n"), ("numa_node", b"0\n"), ("config", bytes(config))):
            self.file(f"{path}/{name}", content)
        self.link(f"/sys/bus/pci/devices/{os.path.basename(path)}", path)


class Doctor(unittest.TestCase):
    def setUp(self):
        self.scratch = self.enterContext(tempfile.TemporaryDirectory())

    def run_doctor(self, *options, status=0):
        done = subprocess.run([PROGRAM, "doctor", *options], capture_output=True, text=True, timeout=TIMEOUT_S)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def tree(self):
        folder = pathlib.Path(self.scratch) / "tree"
        Tree(folder)
        return str(folder)

    def test_a_saved_machine_is_judged_here(self):
        folder = self.tree()
        said = self.run_doctor("--from", folder)
        self.assertIn("Linux 7.3.4+deb13-amd64 on AMD EPYC 9354, IOMMU off", said.stdout)
        self.assertIn("nvme0 with mlx5_0: ", said.stdout)
        self.assertIn("\n    pci=disable_acs_redir=0000:22:00.0;0000:22:01.0\n", said.stdout)
        self.assertIn("\n    setpci -s 0000:22:00.0 ECAP_ACS+6.w=0:2c\n", said.stdout)
        report = json.loads(self.run_doctor("--from", folder, "--json").stdout)
        self.assertEqual(report["acs"]["redirecting"], ["0000:22:00.0", "0000:22:01.0"])

    def test_this_machine_is_judged_the_same_from_its_files(self):
        folder = f"{self.scratch}/saved"
        self.assertIn("serial numbers", self.run_doctor("--save", folder).stdout)
        self.assertTrue(pathlib.Path(folder, "proc/cmdline").is_file())
        here, there = (json.loads(self.run_doctor("--json", *options).stdout) for options in ((), ("--from", folder)))
        self.assertEqual(here, there)
        self.assertIn("not an empty directory", self.run_doctor("--save", folder, status=1).stderr)

    def test_a_folder_that_is_no_saved_machine(self):
        self.assertIn("`nvmf-p2p doctor --save`", self.run_doctor("--from", self.scratch, status=1).stderr)

    def test_grubs_drop_in_is_written_when_asked_and_overwrites_nothing_else(self):
        folder, path = self.tree(), pathlib.Path(self.scratch) / "acs.cfg"
        for _ in range(2):
            self.run_doctor("--from", folder, "--grub-drop-in", str(path))
            text = path.read_text()
        value = subprocess.run(["sh", "-c", f'GRUB_CMDLINE_LINUX_DEFAULT=quiet; . {path}; echo "$GRUB_CMDLINE_LINUX_DEFAULT"'], capture_output=True, text=True, check=True).stdout
        self.assertEqual(value, "quiet 'pci=disable_acs_redir=0000:22:00.0;0000:22:01.0'\n")
        path.write_text("GRUB_TIMEOUT=0\n" + text)
        self.assertIn("not replaced", self.run_doctor("--from", folder, "--grub-drop-in", str(path), status=1).stderr)
        self.assertTrue(path.read_text().startswith("GRUB_TIMEOUT=0\n"))

    def test_grubs_drop_in_is_no_fifo_and_no_link(self):
        folder, fifo, link = self.tree(), pathlib.Path(self.scratch) / "fifo", pathlib.Path(self.scratch) / "link"
        os.mkfifo(fifo)
        link.symlink_to(pathlib.Path(self.scratch) / "nowhere")
        for path, what in ((fifo, "a FIFO"), (link, "a symbolic link")):
            self.assertIn(f"is {what}, so it is not replaced", self.run_doctor("--from", folder, "--grub-drop-in", str(path), status=1).stderr)

    def test_a_strangers_tree_is_not_left_waited_for_or_read_without_end(self):
        tree, secret = pathlib.Path(self.tree()), pathlib.Path(self.scratch) / "secret"
        secret.write_text("9.9.9-a-secret\n")
        release, cpuinfo, model = tree / "proc/sys/kernel/osrelease", tree / "proc/cpuinfo", next(tree.rglob("model"))

        def replace(path, make):
            path.unlink()
            make(path)

        replace(model, os.mkfifo)
        replace(release, lambda path: path.symlink_to(secret))
        replace(cpuinfo, lambda path: path.symlink_to("/dev/zero"))
        (tree / "rights").unlink(missing_ok=True)
        (tree / "rights").symlink_to("/dev/zero")
        said = self.run_doctor("--from", str(tree), "--json").stdout
        self.assertNotIn("a-secret", said)
        replace(cpuinfo, lambda path: path.touch())
        os.truncate(cpuinfo, 5 << 30)
        self.run_doctor("--from", str(tree))
        for link in list(tree.rglob("nvme0")):
            if link.is_symlink():
                replace(link, lambda path: path.symlink_to("/etc"))
        self.run_doctor("--from", str(tree))

    def test_a_tree_is_not_saved_through_a_link(self):
        folder, link = pathlib.Path(self.scratch) / "empty", pathlib.Path(self.scratch) / "link"
        folder.mkdir()
        link.symlink_to(folder)
        self.run_doctor("--save", str(link), status=1)
        self.assertEqual(list(folder.iterdir()), [])

    def test_without_redirection_no_drop_in_is_written(self):
        folder, path = self.tree(), pathlib.Path(self.scratch) / "acs.cfg"
        for config in pathlib.Path(folder).rglob("config"):
            config.write_bytes(bytes(4096))
        self.assertIn("is not written", self.run_doctor("--from", folder, "--grub-drop-in", str(path)).stderr)
        self.assertFalse(path.exists())

    def test_the_rights_of_another_user(self):
        nobody = self.run_doctor("--user", "nobody").stdout
        self.assertIn("user nobody may lock memory without limit", nobody)
        self.assertNotIn("this user", nobody)
        self.assertIn('there is no user "no-such-user"', self.run_doctor("--user", "no-such-user", status=1).stderr)

    def test_options_that_exclude_each_other(self):
        for options in (("--from", "/", "--user", "root"), ("--from", "/", "--self-test"), ("--save", "x", "--from", "/"), ("--save", "x", "--user", "root")):
            self.run_doctor(*options, status=2)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
