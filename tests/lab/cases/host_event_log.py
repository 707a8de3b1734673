"""Host reads the Persistent Event log with nvme-cli, which decodes header and events; and its kernel has set ACRE."""

from nvmf_lab import ONE, daemon, initiator

TOPOLOGY = ONE

READ, ESTABLISH, RELEASE = 0, 1, 2


def test(lab):
    daemon.start(lab, daemon.config(lab, [{"memory": "16MiB"}]))
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN)
    initiator.wait_for_namespaces(lab.host, controller)
    lab.host.run(f"nvme set-feature /dev/{controller} --feature-id=4 --value=345")

    lab.host.run(f"nvme persistent-event-log /dev/{controller} --action={ESTABLISH} --log_len=512")
    shown = lab.host.run(f"nvme persistent-event-log /dev/{controller} --action={READ} --log_len=4096").stdout
    entries = ("Smart Health Event Entry", "Temperature Threshold),  value:0x000159", "Power On Reset Event Entry", "Change Namespace Event Entry")
    for wanted in (daemon.NQN, *entries):
        lab.check(wanted in shown, f"the log that nvme-cli shows has no {wanted!r}:\n{shown}")
    lab.host.run(f"nvme persistent-event-log /dev/{controller} --action={RELEASE}")
    after = lab.host.run(f"nvme persistent-event-log /dev/{controller} --action={READ} --log_len=512", check=False)
    lab.check(after.exit_code != 0, f"without a context the log was read: {after.stdout}")

    behavior = lab.host.run(f"nvme get-feature /dev/{controller} --feature-id=0x16 --data-len=512 --raw-binary | od -An -tu1 -N1").stdout
    lab.check(behavior.strip() == "1", f"the host's kernel has not set ACRE: {behavior}")
    initiator.disconnect(lab.host, daemon.NQN)
