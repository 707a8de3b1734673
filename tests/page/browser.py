"""A headless Chromium, driven by the DevTools protocol through two pipes: no port, no package besides the browser."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
WAIT_S = 60


def found():
    """The path of a browser; None: this machine has none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page, in a profile of its own. `faults`: what its console and its network said of mistakes."""

    def __init__(self, program):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.buffer, self.last_id, self.faults, self.events = b"", 0, [], []
        reads, self.writer = os.pipe()
        self.reader, writes = os.pipe()
        # Out of the way of 3 and 4, which are the browser's.
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (reads, writes)]

        def connect():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
             "--hide-scrollbars", "--no-first-run", "--disable-extensions", "--disable-background-networking",
             f"--user-data-dir={self.profile.name}", "about:blank"],
            preexec_fn=connect, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in (reads, writes, *high):
            os.close(end)
        target = next(one for one in self._send("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self.session = self._send("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(WAIT_S)
        os.close(self.writer)
        os.close(self.reader)
        self.profile.cleanup()

    def send(self, method, **parameters):
        return self._send(method, self.session, **parameters)

    def show(self, address, width=1280, height=900, dark=False):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}, {"name": "prefers-reduced-motion", "value": "reduce"}])
        self.faults.clear()
        self.send("Page.navigate", url=address)

    def value(self, expression):
        """Of an expression in the page."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression):
        """Also where the expression cannot be evaluated yet, because the page is loading."""
        end = time.monotonic() + WAIT_S
        while not self.value(f"(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()"):
            assert time.monotonic() < end, f"never true: {expression}\n{self.value('document.body.innerText')}\n{self.faults}"
            time.sleep(0.05)

    def text(self, selector):
        return self.value(f"document.querySelector({json.dumps(selector)}).textContent")

    def picture(self, path, kind="png", quality=None, height=None):
        """Of the whole page, or of so many pixels from its top."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        options = {} if quality is None else {"quality": quality}
        shot = self.send("Page.captureScreenshot", format=kind, captureBeyondViewport=True, clip=clip, **options)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def _send(self, method, session=None, **parameters):
        self.last_id += 1
        call = {"id": self.last_id, "method": method, "params": parameters}
        if session:
            call["sessionId"] = session
        os.write(self.writer, json.dumps(call).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self.last_id:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self._note(message)

    def _next(self):
        while b"\0" not in self.buffer:
            assert select.select([self.reader], [], [], WAIT_S)[0], "the browser does not answer"
            part = os.read(self.reader, 1 << 20)
            assert part, "the browser has ended"
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message):
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.faults.append(details.get("exception", {}).get("description", details["text"]))
        if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            entry = message["params"]["entry"]
            self.faults.append(f"{entry['text']} {entry.get('url', '')}")
