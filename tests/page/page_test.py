#!/usr/bin/env python3
"""The page of the metrics address in a headless Chromium: with a daemon on a machine without RNIC, and with made-up
machines. Arguments: the daemon, and the unit tests of the daemon.

Exit code 77: there is no browser (apt install chromium)."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
import browser  # noqa: E402
import model  # noqa: E402

SKIPPED = 77
PROGRAM, UNIT_TESTS = (sys.argv.pop(1), sys.argv.pop(1)) if len(sys.argv) > 2 else ("nvmf-p2p", "test_unit_daemon")
WAIT_S = 60
SIZES = [(width, dark) for width in (1280, 390) for dark in (False, True)]
SHOWS_RATES = "latest && latest.storages.some((one) => one.reads > 0)"
# The words and signs for which a colour must stand out from what is behind them.
CONTRASTS = [("text", "card"), ("soft", "card"), ("soft", "box"), ("text", "fault-soft"), ("text", "note-soft"), ("fault", "fault-soft"), ("note", "note-soft"), ("cmb", "box"),
             ("dram", "box"), ("cmb", "cmb-soft"), ("dram", "dram-soft"), ("soft", "cmb-soft")]
READABLE = 4.5  # WCAG 2.2, 1.4.3


class Daemon:
    """Serves a memory namespace on a port that waits, and misses a disk; until the end of the block or stop()."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/"
        config = {
            "admin": {"socket": f"{folder}/admin.sock"}, "state_dir": f"{folder}/state", "metrics": {"address": "127.0.0.1", "port": self.port},
            "ports": [{"id": 1, "address": "192.0.2.1"}],
            "subsystems": [{"nqn": "nqn.2026-01.io.example:a", "allow_any_host": True, "namespaces": [{"memory": "1MiB"}, {"file": f"{folder}/missing"}]}],
        }
        self.config = pathlib.Path(folder) / "config.json"
        self.config.write_text(json.dumps(config))

    def __enter__(self):
        self.process = subprocess.Popen([PROGRAM, "run", "--config", str(self.config)], stderr=subprocess.DEVNULL)
        end = time.monotonic() + WAIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except ConnectionRefusedError:
                assert time.monotonic() < end and self.process.poll() is None, "the daemon does not listen"
                time.sleep(0.05)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(WAIT_S)

    def __exit__(self, *_):
        self.stop()


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = cls.enterClassContext(browser.Browser(browser.found()))

    def show(self, shown, **how):
        """The page with a model, until the test's end."""
        served = self.enterContext(model.Served(shown.report))
        self.browser.show(served.address, **how)
        self.browser.wait_for("latest && document.body.className === ''")

    def check_no_faults(self):
        self.assertEqual(self.browser.faults, [])

    def test_a_daemon_that_serves_nobody_says_why_and_when_it_goes_the_page_says_so(self):
        page = self.browser
        folder = self.enterContext(tempfile.TemporaryDirectory())
        daemon = self.enterContext(Daemon(folder))
        page.show(daemon.address)
        page.wait_for("latest && latest.storages.length === 1 && latest.report.problems.length === 2")
        self.assertIn("Not ready: port 1 is waiting", page.text("#state"))
        problems = page.text("#problems")
        self.assertIn("Port 1 (192.0.2.1) is waiting: ", problems)
        self.assertIn(f"Namespace 2 of nqn.2026-01.io.example:a is not served: ", problems)
        self.assertIn(f"{folder}/missing", problems)
        self.assertIn("memory", page.text("#picture"))
        self.assertIn("no host is connected", page.text("#picture"))
        page.wait_for("before.history.bytes_per_s.cmb.length >= 1")
        self.check_no_faults()  # the policy lets all of it run
        daemon.stop()
        page.wait_for("document.body.classList.contains('gone')")
        self.assertIn("The daemon does not answer since", page.text("#gone"))
        self.assertIn("Port 1 (192.0.2.1) is waiting", page.text("#problems"))
        self.assertIn("grayscale", page.value("getComputedStyle(document.getElementById('picture').parentElement).filter"))

    def test_the_policy_keeps_foreign_scripts_out(self):
        page = self.browser
        daemon = self.enterContext(Daemon(self.enterContext(tempfile.TemporaryDirectory())))
        page.show(daemon.address)
        page.wait_for("latest")
        page.value("(() => { const script = document.createElement('script'); script.textContent = 'window.ran = true'; document.body.append(script); })()")
        self.assertFalse(page.value("Boolean(window.ran)"))
        reached = "fetch('http://127.0.0.1:9/').then(() => '', (error) => String(error))"
        self.assertIn("TypeError", page.value(reached))
        self.assertTrue([fault for fault in page.faults if "Content Security Policy" in fault], page.faults)

    def test_a_report_of_the_daemons_own_code(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "page.json"
            subprocess.run([UNIT_TESTS, "--test-case=A browser may read it"], env={**os.environ, "NVMF_WRITE_PAGE": str(path)}, check=True, stdout=subprocess.DEVNULL)
            report = json.loads(path.read_text())
        served = self.enterContext(model.Served(lambda: report))
        self.browser.show(served.address)
        self.browser.wait_for("latest")
        self.assertIn("0000:01:00.0", self.browser.text("#picture"))
        self.assertIn("mend it", self.browser.text("#problems"))
        self.check_no_faults()
        # The made-up machines have what the daemon has.
        made_up = model.usual().report()
        for one, other in ((report, made_up), (report["storages"][0], made_up["storages"][0]), (report["hosts"][0], made_up["hosts"][0]), (report["history"], made_up["history"]),
                           (report["storages"][0]["on_rnics"][0], made_up["storages"][0]["on_rnics"][0]), (report["problems"][0], made_up["problems"][0]), (report["ports"][0], made_up["ports"][0])):
            self.assertEqual(set(one), set(other))

    def test_rates_are_what_was_moved_between_two_reports(self):
        self.show(model.Model(storages=[model.storage("0000:01:00.0", {"mlx5_0": {"cmb": (3 << 20, 1 << 20), "dram": (1 << 20, 0), "in_capsule": (0, 1 << 20)}})],
                              hosts=[model.host("nqn.2026-01.io.example:h", {"mlx5_0": {"cmb": (3 << 20, 1 << 20)}})], rdma_devices=["mlx5_0"]))
        self.browser.wait_for(SHOWS_RATES)
        self.assertEqual(self.browser.value("[...document.querySelectorAll('#tiles dd')].map((one) => one.textContent)"), ["4 MiB/s", "2 MiB/s", "384", "67 %", "1"])
        picture = self.browser.text("#picture")
        for words in ("0000:01:00.0 CMB to mlx5_0: 4 MiB/s", "0000:01:00.0 to DRAM: 2 MiB/s", "mlx5_0 to h, from CMBs: 4 MiB/s"):
            self.assertIn(words, picture)

    def test_a_daemon_that_was_restarted_gives_no_rate_below_nothing(self):
        shown = model.usual()
        self.show(shown)
        self.browser.wait_for(SHOWS_RATES)
        shown.reports = 0
        self.browser.wait_for("latest.report.now_ms === 2000")
        self.assertEqual(self.browser.value("latest.storages.map((one) => one.reads)"), [0] * len(shown.storages))

    def test_a_large_machine_shows_the_busiest_and_all_when_asked(self):
        shown = model.large()
        self.show(shown)
        self.browser.wait_for(SHOWS_RATES)
        boxes = "document.querySelectorAll('#picture rect.box').length"
        self.assertEqual(self.browser.value(boxes), 8 + 8 + 4)
        self.assertIn("57 others", self.browser.text("#picture"))
        self.browser.value("document.getElementById('more').click()")
        self.assertEqual(self.browser.value(boxes), 64 + 96 + 4)
        self.browser.value("document.querySelector('summary').click()")
        self.browser.wait_for("document.querySelectorAll('#numbers tbody tr').length === 64 + 96 + 4")
        self.check_no_faults()

    def test_nothing_is_there(self):
        self.show(model.nothing())
        picture = self.browser.text("#picture")
        for words in ("no namespace is served", "no RNIC", "no host is connected"):
            self.assertIn(words, picture)
        self.assertIn("no commands", self.browser.text("#plots"))
        self.check_no_faults()

    def test_a_hosts_bytes_become_text_and_nothing_else(self):
        name = "nqn.2026-01.io.example:<img src=x onerror=alert(1)>\x1b[31m\u202egpj.exe"
        problem = {"weight": "fault", "what": name, "remedy": "</p><script>window.ran = true</script>"}
        self.show(model.Model(hosts=[model.host(name, {"mlx5_0": {"cmb": (1, 1)}})], storages=[model.storage("<b>disk</b>", {"mlx5_0": {"cmb": (9, 9)}}, model="&lt;</svg><i>")],
                              rdma_devices=["mlx5_0"], problems=[problem], unready=[name]))
        self.browser.value("document.querySelector('summary').click()")
        self.browser.wait_for("document.querySelector('#numbers table')")
        self.assertEqual(self.browser.value("document.querySelectorAll('main img, main script:not(:last-child), main i, main td b').length"), 0)
        self.assertFalse(self.browser.value("Boolean(window.ran)"))
        for where in ("#state", "#problems", "#numbers"):
            text = self.browser.text(where)
            self.assertIn("<img src=x onerror=alert(1)>", text)
            self.assertNotRegex(text, "[\x1b\u202e]")
        self.check_no_faults()

    def test_it_fits_wide_and_narrow_screens_and_can_be_read_in_light_and_dark(self):
        for shown in (model.usual, model.large, model.nothing):
            for width, dark in SIZES:
                with self.subTest(shown=shown.__name__, width=width, dark=dark):
                    self.show(shown(), width=width, dark=dark)
                    self.assertLessEqual(self.browser.value("document.documentElement.scrollWidth"), width)
                    self.assertEqual(self.browser.value(OUTSIDE_OF_THE_PICTURE), [])
                    for above, below in CONTRASTS:
                        self.assertGreaterEqual(self.browser.value(f"({CONTRAST})('--{above}', '--{below}')"), READABLE, f"{above} on {below}")
                    self.check_no_faults()

    def test_pictures_have_words_and_what_can_be_used_has_a_name(self):
        self.show(model.large())
        without = "[...document.querySelectorAll('main svg')].filter((one) => !one.getAttribute('aria-label') && !one.hasAttribute('aria-hidden')).length"
        self.assertEqual(self.browser.value(without), 0)
        self.assertEqual(self.browser.value("[...document.querySelectorAll('button, summary')].filter((one) => !one.textContent.trim()).length"), 0)
        self.assertEqual(self.browser.value("document.documentElement.lang"), "en")


class Source(unittest.TestCase):
    def test_it_needs_nothing_from_elsewhere(self):
        page = model.PAGE.read_text()
        self.assertEqual(re.findall(r"(?:src|href)=\"(?!/metrics\"|data:,\")[^\"]*\"|@import|url\(", page), [])
        self.assertNotRegex(page, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|cookie|localStorage")


OUTSIDE_OF_THE_PICTURE = """[...document.querySelectorAll('#picture text')].filter((one) => {
  const whole = document.querySelector('#picture svg').getBoundingClientRect(), part = one.getBoundingClientRect();
  return part.left < whole.left - 1 || part.right > whole.right + 1;
}).map((one) => one.textContent)"""

# WCAG's contrast of two of the page's colours.
CONTRAST = """(above, below) => {
  const light = (name) => {
    const probe = document.createElement('span');
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map((one) => one / 255);
    probe.remove();
    const [r, g, b] = parts.map((one) => one <= .04045 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const [one, other] = [light(above), light(below)].sort((a, b) => b - a);
  return (one + .05) / (other + .05);
}"""


if __name__ == "__main__":
    if browser.found() is None:
        print("SKIPPED: there is no browser; apt install chromium")
        sys.exit(SKIPPED)
    unittest.main()
