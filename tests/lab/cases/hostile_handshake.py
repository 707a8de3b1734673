"""Host asks for connections with malformed private data or stops half-way; target rejects each with its status, and closes what stalls."""

from nvmf_lab import ONE, daemon

TOPOLOGY = ONE
CONNECT_TIMEOUT_S = 5


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"memory": "16MiB"}]))
    hostile_host = f"{daemon.stage(lab, 'hostile_host')} {{}} {lab.target.address()} {daemon.NQN}"
    lab.host.run(hostile_host.format("handshake"))
    target.wait_for_connections(0)

    stalling = lab.host.start(f"exec {hostile_host.format('stall')}")
    target.wait_for_connections(10)
    took_s = target.wait_for_connections(0)
    lab.check(took_s < CONNECT_TIMEOUT_S * lab.host.patience, f"stalled connections were closed after {took_s:.0f} s")
    stalling.wait(timeout_s=30)
