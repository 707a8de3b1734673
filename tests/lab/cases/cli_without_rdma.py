"""Operator without an RNIC: run says so and what to do and waits for one, check names every mistake of a config with its place, doctor gives the remedy."""

from nvmf_lab import One, Ssd, daemon

TOPOLOGY = One(ssds=[Ssd(cmb_mib=64)], rdma=False)

BROKEN = """{
  "ports": [{"id": 0, "address": "10.77.0.1"}],
  "subsystems": [
    {"nqn": "not an nqn", "allow_any_host": true,
     "namespaces": [{"memory": "16MiB", "p2p": "requires"}]}
  ],
  "prots": []
}
"""
# Line and column of each mistake.
MISTAKES = ("2:", "4:", "5:", "7:")


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"memory": "16MiB"}]), listens=0)
    target.wait_until_said("no RNIC")
    lab.check("rdma link add" in target.output, f"run does not say what to do:\n{target.output}")
    shown = daemon.command(lab, "status").stdout
    lab.check("waiting" in shown, f"status does not say that the port waits:\n{shown}")
    lab.target.run("sleep 3")
    lab.check(target.output.count("no RNIC") == 1, f"run repeats itself:\n{target.output}")

    lab.target.write("/tmp/broken.json", BROKEN)
    for command in ("check /tmp/broken.json", "run -c /tmp/broken.json"):
        refused = daemon.command(lab, command, check=False)
        lab.check(refused.exit_code == 2, f"{command} exits with {refused.exit_code}, not 2")
        for place in MISTAKES:
            lab.check(f"/tmp/broken.json:{place}" in refused.stderr, f"{command} does not name the mistake in line {place}\n{refused.stderr}")
    daemon.command(lab, f"check {target.config_path}")
    missing = daemon.command(lab, "check /tmp/missing.json", check=False)
    lab.check(missing.exit_code == 2 and "/tmp/missing.json" in missing.stderr, f"a missing config: {missing}")

    found = daemon.command(lab, "doctor", check=False)
    lab.check("rdma link add" in found.stdout, f"doctor does not say how to get an RNIC:\n{found.stdout}")
    lab.check(lab.target.pci_address() in found.stdout, f"doctor does not list the SSD:\n{found.stdout}")
