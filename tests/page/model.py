"""A model of the daemon's metrics address: the page, and reports of a machine that is made up. Each report is two seconds
after the one before, whenever it is asked for, so that what the page shows does not depend on this machine's clock."""

import http.server
import math
import pathlib
import random
import threading

PAGE = pathlib.Path(__file__).resolve().parents[2] / "target/daemon/page.html"
PATHS = ("cmb", "dram", "in_capsule", "direct")
STEP_S = 2
POINTS = 120
MIB, GIB = 1 << 20, 1 << 30


def storage(name, rates, model="Example NVMe 7.68 TB", cmb_mib=256, provider=True, kind="ssd", namespaces=1, used=0.3):
    """`rates`: by RNIC and path, bytes read and written per second."""
    return {"name": name, "kind": kind, "model": model, "provider": name if cmb_mib and provider else "", "namespaces": namespaces,
            "cmb_bytes": cmb_mib * MIB, "cmb_used_bytes": int(cmb_mib * MIB * used), "count": 1, "rates": rates}


def host(nqn, rates, io_queues=8):
    return {"nqn": nqn, "io_queues": io_queues, "count": 1, "rates": rates}


def curve(seed, low, high):
    """Ten minutes of one figure: slow waves, and a little noise."""
    chance = random.Random(seed)
    wave = [chance.uniform(0, 6.28) for _ in range(3)]
    return [low + (high - low) * (0.5 + 0.22 * math.sin(i / 19 + wave[0]) + 0.12 * math.sin(i / 7 + wave[1]) + chance.uniform(-0.1, 0.1)) for i in range(POINTS)]


def latency(seed, median_us):
    p50 = [round(value, 1) for value in curve(seed, median_us * 0.9, median_us * 1.15)]
    p99 = [round(value * factor, 1) for value, factor in zip(p50, curve(seed + 1, 2.1, 3.4))]
    p999 = [round(value * factor, 1) for value, factor in zip(p99, curve(seed + 2, 1.6, 4.5))]
    return {"p50_us": p50, "p99_us": p99, "p999_us": p999}


def history(cmb=2.6 * GIB, dram=0.28 * GIB):
    quiet = {"p50_us": [], "p99_us": [], "p999_us": []}
    if cmb + dram == 0:
        return {"interval_s": 5, "reads": quiet, "writes": quiet, "bytes_per_s": {path: [] for path in PATHS}}
    rates = {"cmb": [int(value) for value in curve(1, cmb * 0.7, cmb * 1.2)], "dram": [int(value) for value in curve(2, dram * 0.6, dram * 1.3)],
             "in_capsule": [int(value) for value in curve(3, 1e6, 4e6)],
             "direct": [0 for _ in curve(3, 1e6, 4e6)]}
    return {"interval_s": 5, "reads": latency(10, 88), "writes": latency(20, 27), "bytes_per_s": rates}


class Model:
    def __init__(self, storages=(), hosts=(), rdma_devices=(), ports=(), problems=(), unready=(), past=None):
        self.storages, self.hosts = list(storages), list(hosts)
        self.rest = {"version": "0.1.0", "uptime_s": 7 * 86400 + 3 * 3600, "unready": list(unready), "problems": list(problems), "more_problems": 0,
                     "ports": list(ports), "rdma_devices": list(rdma_devices), "history": past or history()}
        self.reports = 0

    def report(self):
        self.reports += 1
        seconds = self.reports * STEP_S

        def counted(part):
            ways = [{"rdma_device": device, **{path: [int(rate * seconds) for rate in rates.get(path, (0, 0))] + [int(sum(rates.get(path, (0, 0))) * seconds / 16384)]
                                               for path in PATHS}} for device, rates in part["rates"].items()]
            return {**{key: value for key, value in part.items() if key != "rates"}, "on_rnics": ways}

        return {**self.rest, "now_ms": seconds * 1000, "storages": [counted(one) for one in self.storages], "hosts": [counted(one) for one in self.hosts]}


class Served:
    """The page with a model, at `address`, until the end of the block."""

    def __init__(self, report):
        import json

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text, kind = (PAGE.read_bytes(), "text/html; charset=utf-8") if self.path == "/" else (json.dumps(report()).encode(), "application/json")
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


UUID = "nqn.2014-08.org.nvmexpress:uuid:"


def usual():
    """Four SSDs with different models, a disk without CMB, two RNICs, four hosts; something is wrong."""
    return Model(
        storages=[
            storage("0000:17:00.0", {"mlx5_0": {"cmb": (1.1 * GIB, 220 * MIB)}, "mlx5_1": {"cmb": (160 * MIB, 40 * MIB)}}, namespaces=4, used=0.42),
            storage("0000:18:00.0", {"mlx5_0": {"cmb": (640 * MIB, 90 * MIB), "dram": (3 * MIB, 1 * MIB)}}, used=0.18),
            storage("0000:65:00.0", {"mlx5_1": {"cmb": (310 * MIB, 120 * MIB)}}, model="Example NVMe 3.84 TB", cmb_mib=64, used=0.66),
            storage("0000:66:00.0", {"mlx5_1": {"dram": (170 * MIB, 35 * MIB)}}, model="Other NVMe 1.92 TB", cmb_mib=0),
            storage("/dev/vg0/archive", {"mlx5_1": {"dram": (12 * MIB, 64 * MIB), "in_capsule": (0, 2 * MIB)}}, kind="block device", model="", cmb_mib=0),
        ],
        hosts=[
            host(UUID + "3c1e2f4a-7f10-4c1b-9a51-0b6f7c9d2e01", {"mlx5_0": {"cmb": (1.1 * GIB, 220 * MIB)}, "mlx5_1": {"cmb": (160 * MIB, 40 * MIB)}}, 16),
            host(UUID + "8a90b1c2-0d3e-4f5a-8b6c-7d8e9fa0b1c2", {"mlx5_0": {"cmb": (640 * MIB, 90 * MIB), "dram": (3 * MIB, 1 * MIB)}}),
            host("nqn.2026-01.io.example:hosts:render-7", {"mlx5_1": {"cmb": (310 * MIB, 120 * MIB), "dram": (170 * MIB, 35 * MIB)}}),
            host("nqn.2026-01.io.example:hosts:backup", {"mlx5_1": {"dram": (12 * MIB, 64 * MIB), "in_capsule": (0, 2 * MIB)}}, 4),
        ],
        rdma_devices=["mlx5_0", "mlx5_1"],
        ports=[{"id": 1, "address": "192.0.2.10", "state": "listening"}, {"id": 2, "address": "192.0.2.74", "state": "listening"}, {"id": 3, "address": "198.51.100.7", "state": "waiting"}],
        problems=[
            {"weight": "fault", "what": "Port 3 (198.51.100.7) is waiting: no network interface has this address",
             "remedy": "Give the address to a network interface with an RNIC, or correct the address of the port in the config. The port listens as soon as both are there."},
            {"weight": "note", "what": "2 changes of the running config are not in the config file.", "remedy": "nvmf-p2p status lists them; nvmf-p2p save writes them to the file."},
        ])


def large():
    """64 SSDs, 96 hosts, four RNICs; nothing is wrong."""
    chance = random.Random(64)
    devices = [f"mlx5_{number}" for number in range(4)]

    def rates(number):
        return {devices[number % 4]: {"cmb": (chance.uniform(0, 900) * MIB, chance.uniform(0, 200) * MIB), "dram": (chance.choice((0, 0, 8)) * MIB, 0)}}

    return Model(storages=[storage(f"{number // 16:04x}:{number % 16 + 16:02x}:00.0", rates(number)) for number in range(64)],
                 hosts=[host(f"{UUID}{number:08x}-0000-4000-8000-000000000000", rates(number)) for number in range(96)],
                 rdma_devices=devices, ports=[{"id": number + 1, "address": f"192.0.2.{number + 1}", "state": "listening"} for number in range(4)], past=history(24 * GIB, GIB))


def nothing():
    return Model(unready=["the config has no ports"], past=history(0, 0),
                 problems=[{"weight": "fault", "what": "The config has no ports, so no host can connect.", "remedy": "Add a port: nvmf-p2p add port id=1 address=ADDRESS, then nvmf-p2p save."}])
