#!/usr/bin/env python3
"""Prometheus' own checker accepts the metrics. Arguments: the unit tests of the daemon, and where promtool may be.

Exit code 77: there is no promtool (tests/metrics/fetch_promtool gets one)."""

import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import metrics_text  # noqa: E402

SKIPPED = 77


def main(test_program: str, fetched: str) -> int:
    promtool = shutil.which("promtool") or shutil.which(fetched)
    if promtool is None:
        print("SKIPPED: there is no promtool; tests/metrics/fetch_promtool gets one")
        return SKIPPED
    text = metrics_text.written_by(test_program)
    checked = subprocess.run([promtool, "check", "metrics"], input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(checked.stdout or f"promtool has nothing against these {len(text.splitlines())} lines")
    return 1 if checked.returncode or checked.stdout.strip() else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
