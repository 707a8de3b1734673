"""Two hosts share a namespace by reservations: the second is kept from writing, also after the daemon was killed, until it preempts, or the operator clears; a broken file is not served. While the disk with the state does not answer, only changes of reservations wait."""

import json
import time

from nvmf_lab import TWO, daemon, initiator

TOPOLOGY = TWO

WRITE_EXCLUSIVE = 1
REGISTER, ACQUIRE, RELEASE, CLEAR, PREEMPT_AND_ABORT = 0, 0, 0, 1, 2
PERSIST = 3
CONFLICT = "Invalid exchange"  # EBADE, which is what Linux makes of Reservation Conflict
STATE = "/var/lib/nvmf-p2p"
RECONNECT_WAIT_S = 30


def test(lab):
    config = daemon.config(lab, [{"block": lab.target.ssd(1)}])
    lab.target.run(f"modprobe -a loop ext4; mkdir -p /srv {STATE}; truncate -s 64M /srv/state; mkfs.ext4 -q /srv/state; mount -o loop /srv/state {STATE}")
    first = daemon.start(lab, config)
    alice, bob = Sharer(lab, lab.target, "a11ce"), Sharer(lab, lab.host, "b0b")

    alice.nvme(f"resv-register --nrkey=0x{alice.key} --rrega={REGISTER} --cptpl={PERSIST}")
    registers_on_a_slow_disk(lab, alice, bob)
    alice.nvme(f"resv-acquire --crkey=0x{alice.key} --rtype={WRITE_EXCLUSIVE} --racqa={ACQUIRE}")
    check_held(lab, alice, bob)

    first.kill()
    again = daemon.start(lab, config, name="again")
    for sharer in (alice, bob):
        sharer.wait_until_live()
    check_held(lab, alice, bob)

    bob.nvme(f"resv-acquire --crkey=0x{bob.key} --prkey=0x{alice.key} --rtype={WRITE_EXCLUSIVE} --racqa={PREEMPT_AND_ABORT}")
    lab.check(bob.write() == "", f"bob preempted, and cannot write: {bob.write()}")
    lab.check(CONFLICT in alice.write(), "alice was preempted, and writes")
    told = alice.nvme_controller("resv-notif-log")
    lab.check(told["count"] == 1 and told["rn_log_type"] == 1, f"alice is told {told}, not Registration Preempted")
    lab.check([one["rkey"] for one in bob.report()["regctlext"]] == [int(bob.key, 16)], f"alice is still registered: {bob.report()}")

    operator_clears(lab, alice, bob)
    bob.nvme(f"resv-register --nrkey=0x{bob.key} --rrega={REGISTER}")
    bob.nvme(f"resv-acquire --crkey=0x{bob.key} --rtype={WRITE_EXCLUSIVE} --racqa={ACQUIRE}")

    bob.nvme(f"resv-release --crkey=0x{bob.key} --rtype={WRITE_EXCLUSIVE} --rrela={RELEASE}")
    lab.check(alice.write() == "", "nothing is reserved, and alice cannot write")
    bob.nvme(f"resv-release --crkey=0x{bob.key} --rrela={CLEAR}")
    lab.check(bob.report()["regctlext"] == [], f"all is cleared, and somebody is registered: {bob.report()}")

    again.kill()
    lab.target.run(f"truncate -s 10 {STATE}/reservation-*.json")
    broken = daemon.start(lab, config, name="broken")
    broken.wait_until_said(f"the file with its reservation, {STATE}/reservation-")
    lab.check(broken.stats()["namespaces"] == [], f"a namespace is served whose reservation nobody knows: {broken.stats()['namespaces']}")
    broken.stop()
    lab.target.run(f"umount {STATE}")


def operator_clears(lab, alice, bob):
    """As if bob were dead: the operator sees what he holds, and ends it; bob is told."""
    (reserved,) = json.loads(daemon.command(lab, "reservations --json").stdout)
    (holder,) = reserved["registrants"]
    lab.check(reserved["type"] == "write-exclusive" and reserved["persists"] and holder["key"] == f"0x{bob.key}" and holder["holder"], f"the operator does not see that bob holds it: {reserved}")
    refused = daemon.command(lab, f"reservations clear {daemon.NQN} 1", check=False)
    lab.check(refused.exit_code == 1 and CONFLICT in alice.write(), f"cleared without --force: {refused.stdout}{refused.stderr}")
    daemon.command(lab, f"reservations clear {daemon.NQN} 1 --force")
    lab.check(alice.write() == "", "the operator has cleared the reservation, and alice cannot write")
    lab.check(bob.report()["regctlext"] == [], f"the operator has cleared it, and somebody is registered: {bob.report()}")
    told = bob.nvme_controller("resv-notif-log")
    lab.check(told["rn_log_type"] == 3, f"bob is told {told}, not Reservation Preempted")


def registers_on_a_slow_disk(lab, alice, bob):
    lab.target.run(f"fsfreeze --freeze {STATE}")
    registering = bob.guest.start(f"exec nvme resv-register {bob.device} --nrkey=0x{bob.key} --rrega={REGISTER}")
    for _ in range(5):
        said = daemon.command(lab, "status").stdout
        lab.check("namespaces   1" in said, f"the daemon does not say what it serves:\n{said}")
        lab.check(alice.write() == "" and len(alice.report()["regctlext"]) == 1, f"alice cannot go on: {alice.report()}")
    lab.check(registering.running(), f"bob is answered before his registration is on disk: {registering.stdout}{registering.stderr}")
    lab.target.run(f"fsfreeze --unfreeze {STATE}")
    registering.wait()
    lab.check(len(bob.report()["regctlext"]) == 2, f"bob is not registered: {bob.report()}")


def check_held(lab, alice, bob):
    """Alice holds the reservation for writing, and both are registered."""
    report = bob.report()
    lab.check(report["rtype"] == WRITE_EXCLUSIVE and report["ptpls"] == 1, f"the reservation is not alice's, or not persistent: {report}")
    holders = {one["rkey"]: one["rcsts"] for one in report["regctlext"]}
    lab.check(holders == {int(alice.key, 16): 1, int(bob.key, 16): 0}, f"not alice holds it: {report}")
    lab.check(alice.write() == "", f"alice holds the reservation, and cannot write: {alice.write()}")
    lab.check(CONFLICT in bob.write(), f"bob writes what alice has reserved, or fails otherwise: {bob.write()!r}")
    bob.guest.run(f"dd if={bob.device} of=/dev/null bs=4k count=1 iflag=direct")


class Sharer:
    """A host with an identity and a key of its own."""

    def __init__(self, lab, guest, key):
        self.guest, self.key = guest, key
        hostid = f"11111111-2222-4333-8444-{int(key, 16):012x}"
        options = f"--hostnqn=nqn.2014-08.org.nvmexpress:uuid:{hostid} --hostid={hostid} --reconnect-delay=1"
        self.controller = initiator.connect_controller(guest, lab.target.address(), daemon.NQN, options=options)
        self.device = initiator.wait_for_namespaces(guest, self.controller)[0]

    def nvme(self, words):
        command, options = words.split(" ", 1)
        return self.guest.run(f"nvme {command} {self.device} {options}").stdout

    def nvme_controller(self, command):
        return json.loads(self.guest.run(f"nvme {command} /dev/{self.controller} -o json").stdout)

    def report(self):
        return json.loads(self.nvme("resv-report --eds -o json"))

    def write(self):
        """What the system says to a write; empty when it has no objection."""
        done = self.guest.run(f"dd if=/dev/zero of={self.device} bs=4k count=1 oflag=direct status=none", check=False)
        return done.stderr if done.exit_code else ""

    def wait_until_live(self):
        deadline = time.monotonic() + RECONNECT_WAIT_S * self.guest.patience
        while self.guest.read(f"/sys/class/nvme/{self.controller}/state").strip() != "live":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.guest.name} does not reconnect")
            time.sleep(0.2)
