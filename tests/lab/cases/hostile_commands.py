"""Host sends capsules with one thing wrong each, then garbage, a flood of admin commands, and Reads whose answers it does not take; target answers with the status the specification names, and serves on."""

import time

from nvmf_lab import ONE, daemon, fio, initiator

TOPOLOGY = ONE
TIME_LIMIT_S = 300

POOL_MIB = 4
ANSWER_S = 5  # that an operator waits at most; unbounded turns took 12 s
FROM = "10.77.0.250"  # of the host that takes no answers: a share of the pool is by address


def test(lab):
    namespaces = [{"memory": "16MiB"}, {"memory": "16MiB"}]
    target = daemon.start(lab, daemon.config(lab, namespaces, rdma={"dram_pool_mib": POOL_MIB, "mdts_bytes": 256 * 1024}))
    program = daemon.stage(lab, "hostile_host")
    where = f"{lab.target.address()} {daemon.NQN}"
    device = initiator.connect(lab.host, lab.target.address(), daemon.NQN, namespaces=2)

    lab.host.run(f"{program} commands {where}", timeout_s=60)
    target.check_alive()
    for seed in (1, 2, 3):
        lab.host.run(f"{program} garbage {where} {seed} 2000", timeout_s=120)
        target.check_alive()
    flood(lab, target, f"{program} flood {where}")
    take_no_answers(lab, target, f"{program} no-answers {where} {FROM}", device)

    lab.check(set(initiator.controllers(lab.host, daemon.NQN).values()) == {"live"}, "the well-behaved host lost its controller")
    fio.verify_all(lab.host, [device], fio.Shape(4096, 16, 512))


def flood(lab, target, attack):
    """The daemon answers its operator while hosts keep its control thread busy."""
    flooding = lab.host.start(f"exec {attack}")
    await_words(lab, flooding, "flooding")
    for _ in range(3):
        daemon.command(lab, "status", timeout_s=ANSWER_S)
    lab.check(flooding.running(), "the flood ended by itself")
    flooding.signal()
    flooding.wait()


def take_no_answers(lab, target, attack, device):
    """What a host pins is its share of the pool: another host's commands have the rest."""
    lab.host.run(f"ip address add {FROM}/24 dev eth0")
    pinning = lab.host.start(f"exec {attack}")
    await_words(lab, pinning, "taking no answers")
    begin = time.monotonic()
    lab.host.run(f"dd if={device} of=/dev/null bs=256k count=16 iflag=direct", timeout_s=60)
    print(f"4 MiB were read in {time.monotonic() - begin:.1f} s beside a host that takes no answers")
    over = sum(host["over_share"] for host in target.stats()["hosts"])
    lab.check(over > 0, f"nobody was over its share of the pool: {target.stats()['hosts']}")
    pinning.wait(timeout_s=90)
    lab.host.run(f"ip address del {FROM}/24 dev eth0")


def await_words(lab, program, words):
    begin = time.monotonic()
    while words not in program.stdout:
        if not program.running() or time.monotonic() - begin > 60 * lab.host.patience:
            program.stop()
            lab.check(False, f"the hostile host did not get so far as to be {words}:\n{program.stdout}{program.stderr}")
        time.sleep(0.1)
