"""The metrics of the daemon as its unit tests write them: with a sample in every family."""

import os
import pathlib
import subprocess
import tempfile


def written_by(test_program: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "metrics.txt"
        subprocess.run(
            [test_program, "--test-case=Prometheus' checker may read them"],
            env={**os.environ, "NVMF_WRITE_METRICS": str(path)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return path.read_text()
