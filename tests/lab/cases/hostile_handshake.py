"""Host asks for connections with malformed private data, stops half-way, says nothing, overruns its queues, or sends half a capsule again and again; target rejects each with its status, closes what stalls, and serves on. One that sends no NQN is let in where any host may connect."""

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

    for attack in ("overrun", "silence", "halves"):
        lab.host.run(hostile_host.format(attack), timeout_s=90)
        target.check_alive()
    target.wait_for_connections(0, timeout_s=30)
    said = target.output
    lab.check("more commands than its queue has entries" in said, "the daemon does not say who overran its queue")
    lab.check("connections without a Connect command" in said, "the daemon does not say why it closed a silent connection")
