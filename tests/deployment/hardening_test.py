#!/usr/bin/env python3
"""The program as it ships has the hardening of Debian's packages: hardening_test.py PROGRAM."""

import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop()


def readelf(option):
    return subprocess.run(["readelf", "-W", option, PROGRAM], capture_output=True, text=True, check=True).stdout


class Hardening(unittest.TestCase):
    def test_it_is_position_independent(self):
        self.assertRegex(readelf("--file-header"), r"Type:\s+DYN")
        self.assertRegex(readelf("--dynamic"), r"FLAGS_1.*\bPIE\b")

    def test_its_relocations_are_read_only_from_the_start(self):
        self.assertRegex(readelf("--dynamic"), r"FLAGS_1.*\bNOW\b")
        self.assertIn("GNU_RELRO", readelf("--program-headers"))

    def test_its_stack_is_not_executable(self):
        self.assertRegex(readelf("--program-headers"), r"GNU_STACK.* RW ")

    def test_overflows_are_found(self):
        symbols = readelf("--dyn-syms")
        self.assertIn("__stack_chk_fail", symbols)  # -fstack-protector-strong
        self.assertRegex(symbols, r"__\w+_chk@GLIBC")  # _FORTIFY_SOURCE


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
