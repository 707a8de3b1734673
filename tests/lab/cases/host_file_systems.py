"""Host makes ext4 and xfs, copies a tree, unmounts, checks, reconnects and compares; target moves the data through the CMB."""

from nvmf_lab import TWO, daemon, initiator

TOPOLOGY = TWO
TIME_LIMIT_S = 240

TREE = "/usr/include/infiniband /usr/include/rdma"
BIG_FILE_MIB = 24
CHECKS = {"ext4": "fsck.ext4 -f -n", "xfs": "xfs_repair -n"}


def test(lab):
    target = daemon.start(lab, daemon.config(lab, [{"block": lab.target.ssd(), "p2p": "require"}]))
    lab.host.run(f"mkdir -p /tmp/mine /tmp/disk; cp -r {TREE} /tmp/mine; head -c {BIG_FILE_MIB}M /dev/urandom >/tmp/mine/big")
    lab.host.modprobe("ext4", "xfs")
    for kind, check in CHECKS.items():
        device = initiator.connect(lab.host, lab.target.address(), daemon.NQN)
        lab.host.run(f"wipefs -qa {device}; mkfs.{kind} -q {device} && mount {device} /tmp/disk", timeout_s=90)
        lab.host.run("cp -r /tmp/mine /tmp/disk && umount /tmp/disk", timeout_s=90)
        lab.host.run(f"{check} {device}", timeout_s=90)
        initiator.disconnect(lab.host, daemon.NQN)

        device = initiator.connect(lab.host, lab.target.address(), daemon.NQN)
        lab.host.run(f"mount {device} /tmp/disk && diff -r /tmp/mine /tmp/disk/mine && umount /tmp/disk", timeout_s=90)
        initiator.disconnect(lab.host, daemon.NQN)

    served = target.namespace()
    lab.check(served["errors"] == 0, f"the namespace counted errors: {served}")
    lab.check(served["writes"]["cmb"]["bytes"] > 2 * BIG_FILE_MIB << 20, f"the files did not go through the CMB: {served}")
