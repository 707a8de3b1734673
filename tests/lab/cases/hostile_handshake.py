"""Host asks for connections with malformed private data or stops half-way; target rejects each with its status, and closes what stalls. One that sends no NQN is let in where any host may connect."""

from nvmf_lab import ONE, daemon

TOPOLOGY = ONE
CONNECT_TIMEOUT_S = 5


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"memory": "16MiB"}]))
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
