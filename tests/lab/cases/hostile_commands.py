"""Host sends capsules with one thing wrong each, then garbage; target answers with the status the specification names, and serves on."""

from nvmf_lab import ONE, daemon, fio, initiator

TOPOLOGY = ONE
TIME_LIMIT_S = 240


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"memory": "16MiB"}, {"memory": "16MiB"}]))
    program = daemon.stage(lab, "hostile_host")
    where = f"{lab.target.address()} {daemon.NQN}"
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN, namespaces=2)

    lab.host.run(f"{program} commands {where}", timeout_s=60)
    target.check_alive()
    for seed in (1, 2, 3):
        lab.host.run(f"{program} garbage {where} {seed} 2000", timeout_s=120)
        target.check_alive()

    lab.check(set(initiator.controllers(lab.host, daemon.NQN).values()) == {"live"}, "the well-behaved host lost its controller")
    fio.verify_all(lab.host, [device], fio.Shape(4096, 16, 512))
