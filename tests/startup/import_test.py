#!/usr/bin/env python3
"""Configs of other targets, imported by the command."""

import json
import pathlib
import stat
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from place import DaemonTest, NQN, PROGRAM, WAIT_S  # noqa: E402, takes the program off the arguments


HOST = "nqn.2014-08.org.nvmexpress:uuid:3c1e2f4a-0000-4000-8000-000000000001"
RDMA = {"trtype": "rdma", "adrfam": "ipv4", "traddr": "192.0.2.10", "trsvcid": "4420", "treq": "not specified"}


def nvmet(nqn, address, hosts=(), device=None):
    """What nvmetcli saves of one port, one subsystem and one namespace."""
    return {
        "hosts": list(hosts),
        "ports": [{"addr": address, "portid": 1, "referrals": [], "subsystems": [nqn]}],
        "subsystems": [{
            "nqn": nqn,
            "attr": {"allow_any_host": "0" if hosts else "1"},
            "allowed_hosts": [host["nqn"] for host in hosts],
            "namespaces": [{"nsid": 1, "enable": 1, "device": device or {"path": "/dev/nvme0n1"}}],
        }],
    }


def spdk(bdevs, transport, space, allow_any_host):
    """What SPDK's save_config prints of one subsystem."""
    nqn = {"nqn": NQN}
    calls = [
        ("nvmf_create_transport", {"trtype": "RDMA", **transport}),
        ("nvmf_create_subsystem", {**nqn, "allow_any_host": allow_any_host, "serial_number": "S1", "max_namespaces": 256}),
        ("nvmf_subsystem_add_ns", {**nqn, "namespace": space}),
        ("nvmf_subsystem_add_listener", {**nqn, "listen_address": {"trtype": "RDMA", "adrfam": "IPv4", "traddr": "192.0.2.10",
                                                                  "trsvcid": "4420"}}),
    ]
    if not allow_any_host:
        calls.append(("nvmf_subsystem_add_host", {**nqn, "host": HOST}))
    named = lambda pairs: [{"method": method, "params": params} for method, params in pairs]
    return {"subsystems": [{"subsystem": "bdev", "config": named(bdevs)}, {"subsystem": "nvmf", "config": named(calls)}]}


class Import(DaemonTest):
    def imported(self, form, saved, status, *words):
        """The config, and what was said of it."""
        path = pathlib.Path(self.scratch.name) / "saved.json"
        path.write_text(json.dumps(saved))
        done = subprocess.run([PROGRAM, "import", form, str(path), *words], capture_output=True, text=True, timeout=WAIT_S)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(f"{path}: imported ", done.stderr)
        return json.loads(done.stdout), done.stderr

    def checked(self, config):
        """What `check` says of the file alone."""
        path = pathlib.Path(self.scratch.name) / "config.json"
        path.write_text(json.dumps(config))
        done = subprocess.run([PROGRAM, "check", "--file-only", "--json", str(path)], capture_output=True, text=True, timeout=WAIT_S)
        self.assertEqual(done.returncode, 0, done.stdout)
        return [f"{one['path']}: {one['problem']}" for one in json.loads(done.stdout)]

    def test_a_plain_name_stays_and_is_warned_of(self):
        config, _ = self.imported("nvmetcli", nvmet("disks", RDMA), 0)
        self.assertEqual(config["subsystems"][0]["nqn"], "disks")
        self.assertEqual(len(self.checked(config)), 1)
        self.assertIn("$.subsystems[0].nqn: the name is no NQN", self.checked(config)[0])

    def test_any_address_stays(self):
        config, _ = self.imported("nvmetcli", nvmet(NQN, {**RDMA, "traddr": "0.0.0.0"}), 0)
        self.assertEqual(config["ports"][0]["address"], "0.0.0.0")
        self.assertEqual(self.checked(config), [])

    def test_a_tcp_port_and_its_tls_are_named_and_the_file_is_kept(self):
        device = {"path": "/srv/boot.img", "uuid": "3c1e2f4a-0000-4000-8000-000000000002", "nguid": "00000000-0000-0000-0000-000000000000"}
        address = {**RDMA, "trtype": "tcp", "adrfam": "ipv6", "traddr": "::", "tsas": "tls1.3"}
        config, said = self.imported("nvmetcli", nvmet("disks", address, device=device), 3)
        self.assertEqual((config["ports"], config["subsystems"][0]["ports"]), ([], []))
        space = config["subsystems"][0]["namespaces"][0]
        self.assertEqual((space["file"], space["uuid"]), (device["path"], device["uuid"]))
        self.assertIn('not carried over: a port of transport "tcp", and its tls1.3', said)
        self.assertIn("1 thing was left out", said)

    def test_a_host_comes_with_its_key_and_the_key_with_nobody_else(self):
        key = subprocess.run([PROGRAM, "key", "generate"], capture_output=True, text=True, check=True).stdout.strip()
        host = {"nqn": HOST, "dhchap_key": key, "dhchap_ctrl_key": "", "dhchap_hash": "hmac(sha384)", "dhchap_dhgroup": "ffdhe3072"}
        keys = pathlib.Path(self.scratch.name) / "keys"
        config, said = self.imported("nvmetcli", nvmet(NQN, RDMA, [host]), 0, "--keys", str(keys))
        subsystem = config["subsystems"][0]
        self.assertNotIn("allowed_hosts", subsystem)
        self.assertEqual([(one["nqn"], one["dhchap_hash"], one["dhchap_group"]) for one in subsystem["hosts"]],
                         [(HOST, "sha384", "ffdhe3072")])
        file = pathlib.Path(subsystem["hosts"][0]["key_file"])
        self.assertEqual((file.parent, file.read_text().strip(), stat.S_IMODE(file.stat().st_mode)), (keys, key, 0o600))
        self.assertNotIn(key[10:30], json.dumps(config) + said)
        config, said = self.imported("nvmetcli", nvmet(NQN, RDMA, [host]), 0)
        self.assertIn("1 key not written", said)
        self.assertEqual(config["subsystems"][0]["hosts"][0]["key_file"], f"/etc/nvmf-p2p/keys/{HOST}.key")

    def test_what_the_numbers_of_another_target_mean_here_is_said(self):
        aio = ("bdev_aio_create", {"name": "a0", "filename": "/dev/disk/by-id/nvme-no-such-disk", "block_size": 4096})
        transport = {"num_shared_buffers": 8192, "max_queue_depth": 256, "max_qpairs_per_ctrlr": 128, "in_capsule_data_size": 8192,
                     "max_io_size": 262144, "io_unit_size": 262144, "num_cqe": 4096}
        config, said = self.imported("spdk", spdk([aio], transport, {"nsid": 1, "bdev_name": "a0"}, False), 0)
        self.assertEqual(config["rdma"], {"in_capsule_data_bytes": 8192, "max_queue_depth": 256, "max_io_queues": 127, "mdts_bytes": 262144})
        self.assertEqual(config["subsystems"][0]["allowed_hosts"], [HOST])
        self.assertIn('this target serves the device\'s own block size, SPDK served "4096"', said)
        self.assertEqual(len(self.checked(config)), 1)
        self.assertIn("$.rdma.in_capsule_data_bytes: Linux hosts from 5.5 to 5.12", self.checked(config)[0])

    def test_a_namespace_without_backend_leaves_no_empty_subsystem_without_a_word(self):
        config, said = self.imported("spdk", spdk([], {}, {"nsid": 1, "bdev_name": "a0"}, True), 3)
        self.assertNotIn("namespaces", config["subsystems"][0])
        self.assertIn('a namespace whose block device "a0" does not exist', said)
        self.assertIn(f'all namespaces of subsystem "{NQN}"', said)
        self.assertIn("hosts find no namespace", self.checked(config)[0])

    def test_keys_are_imported_again_and_none_is_left_by_an_import_that_failed(self):
        def key():
            return subprocess.run([PROGRAM, "key", "generate"], capture_output=True, text=True, check=True).stdout.strip()

        folder = pathlib.Path(self.scratch.name)
        names = [f"nqn.2014-08.org.nvmexpress:host{number}" for number in range(3)]
        hosts = [{"nqn": name, "dhchap_key": key()} for name in names]
        saved = {"hosts": hosts, "ports": [], "subsystems": [
            {"nqn": NQN, "attr": {"allow_any_host": "0"}, "allowed_hosts": names[:2], "namespaces": []}]}

        def imported():
            (folder / "saved.json").write_text(json.dumps(saved))
            return subprocess.run([PROGRAM, "import", "nvmetcli", "saved.json", "--keys", "keys"], cwd=folder,
                                  capture_output=True, text=True, timeout=WAIT_S)

        first = imported()
        self.assertEqual(first.returncode, 3, first.stderr)
        self.assertIn(f'the key of host "{names[2]}", which no subsystem that is imported lists', first.stderr)
        files = sorted((folder / "keys").iterdir())
        self.assertEqual(len(files), 2, "the third host is in no subsystem")
        again = imported()
        self.assertEqual(again.returncode, 3, again.stderr)
        self.assertIn(f'"{files[0]}"', again.stdout)
        files[0].unlink()
        hosts[1]["dhchap_key"] = key()
        self.assertEqual(imported().returncode, 1)
        self.assertEqual(sorted((folder / "keys").iterdir()), files[1:])

    def test_a_target_without_ports_and_subsystems_is_no_success(self):
        path = pathlib.Path(self.scratch.name) / "empty.json"
        path.write_text(json.dumps({"hosts": [{"nqn": "nqn.2026-01.io.example:h"}], "ports": [], "subsystems": []}))
        done = subprocess.run([PROGRAM, "import", "nvmetcli", str(path)], capture_output=True, text=True, timeout=WAIT_S)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("no port and no subsystem is left", done.stderr)

    def test_subsystems_are_imported_as_drop_ins(self):
        folder = pathlib.Path(self.scratch.name)
        nqns = ["nqn.2026-01.io.example:a/1", "nqn.2026-01.io.example:b", "nqn.2026-01.io.other:b"]
        saved = {"ports": [], "subsystems": [{"nqn": nqn, "attr": {"allow_any_host": "1"}, "namespaces": []} for nqn in nqns]}
        (folder / "saved.json").write_text(json.dumps(saved))

        def imported(*words):
            return subprocess.run([PROGRAM, "import", "nvmetcli", "saved.json", *words], cwd=folder, capture_output=True,
                                  text=True, timeout=WAIT_S)

        done = imported("--drop-ins", "conf.d")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("wrote 3 drop-ins to conf.d", done.stderr)
        self.assertEqual(json.loads(done.stdout)["subsystems"], [])
        self.assertEqual(sorted(file.name for file in (folder / "conf.d").iterdir()), ["a_1.json", "b-2.json", "b.json"])
        (folder / "config.json").write_text(done.stdout)
        checked = subprocess.run([PROGRAM, "check", "--file-only", "config.json"], cwd=folder, capture_output=True, text=True,
                                 timeout=WAIT_S)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn("config.json and 3 drop-ins: good: 0 ports, 3 subsystems", checked.stdout)
        (folder / "conf.d" / "a_1.json").unlink()
        again = imported("--drop-ins", "conf.d")
        self.assertEqual((again.returncode, again.stdout), (1, ""))
        self.assertIn("conf.d/b.json exists already: remove the file", again.stderr)
        self.assertFalse((folder / "conf.d" / "a_1.json").exists(), "the first of a failed import is left")


if __name__ == "__main__":
    unittest.main()
