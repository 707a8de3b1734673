#!/usr/bin/env python3
"""Whoever reads the log may go or stand still: the daemon serves on."""

import fcntl
import os
import signal
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
from place import DaemonTest, Running, WAIT_S  # noqa: E402, takes the program off the arguments

F_SETPIPE_SZ = 1031


class Log(DaemonTest):
    def test_the_reader_of_the_log_goes(self):
        place = self.place()
        with Running(place) as running:
            running.process.stderr.close()
            for _ in range(3):
                self.assertEqual(place.ask("reload").returncode, 0)
            self.assertIsNone(running.process.poll())
            running.process.stderr = None

    def test_the_reader_of_the_log_stands_still(self):
        place = self.place()
        with Running(place) as running:
            fcntl.fcntl(running.process.stderr, F_SETPIPE_SZ, 4096)
            begin = time.monotonic()
            for _ in range(60):
                self.assertEqual(place.request("POST", "/v1/reload"), 200)
            self.assertLess(time.monotonic() - begin, WAIT_S)
            os.set_blocking(running.process.stderr.fileno(), False)
            while running.process.stderr.buffer.read(65536):
                pass
            self.assertEqual(place.request("POST", "/v1/reload"), 200)
            self.assertRegex(running.process.stderr.buffer.read(65536).decode(), r"\d+ lines of the log were lost here")
            os.set_blocking(running.process.stderr.fileno(), True)

    def test_signals_that_mean_nothing_here(self):
        place = self.place()
        with Running(place) as running:
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
                running.process.send_signal(number)
            self.assertEqual(place.ask("status").returncode, 0)


if __name__ == "__main__":
    unittest.main()
