"""Host asks for connections with malformed private data, stops half-way, says nothing, overruns its queues, or sends half a capsule again and again; target rejects each with its status, closes what stalls, and serves on. One that sends no NQN is let in where any host may connect."""

import re

from nvmf_lab import ONE, daemon

TOPOLOGY = ONE
TIME_LIMIT_S = 240
CONNECT_TIMEOUT_S = 5


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"memory": "16MiB"}], limits={"max_new_controllers_per_s_per_host": 0}))
    hostile_host = f"{daemon.stage(lab, 'hostile_host')} {{}} {lab.target.address()} {daemon.NQN}"
    lab.host.run(hostile_host.format("handshake"))
    target.wait_for_connections(0)

    for _ in range(2):
        lab.host.run(hostile_host.format("nameless"))
        target.wait_for_connections(0)
    said = [line for line in target.output.splitlines() if "has sent no valid host NQN" in line]
    lab.check(len(said) == 1, f"the log tells {len(said)} times of a host without NQN: {said}")

    stalling = lab.host.start(f"exec {hostile_host.format('stall')}")
    target.wait_for_connections(10)
    took_s = target.wait_for_connections(0)
    lab.check(took_s < CONNECT_TIMEOUT_S * lab.host.patience, f"stalled connections were closed after {took_s:.0f} s")
    stalling.wait(timeout_s=30)

    attacked = ""
    for attack in ("overrun", "silence", "halves"):
        attacked += lab.host.run(hostile_host.format(attack), timeout_s=90).stdout
        target.check_alive()
    target.wait_for_connections(0, timeout_s=30)
    said = target.output
    lab.check("more commands than its queue has entries" in said, "the daemon does not say who overran its queue")
    # Where the machine is so busy that the first ones are closed for their own silence there are never too many.
    opened_ms = int(re.search(r"opened in (\d+) ms", attacked)[1])
    rule = "connections without a Connect command" if opened_ms < CONNECT_TIMEOUT_S * 1000 else "no Connect command within"
    lab.check(rule in said, f"the daemon does not say why it closed a silent connection of those that were opened in {opened_ms} ms")
