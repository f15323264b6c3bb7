"""The package for ARMv7 refuses to be installed on an ARMv6 board, whose system has the same name for its architecture."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

PREINST = Path(__file__).parent / "deb/preinst"


def run(package, architecture, machine):
    """What the script says and how it ends, where `uname -m` says `machine`."""
    with tempfile.TemporaryDirectory() as folder:
        uname = Path(folder) / "uname"
        uname.write_text(f"#!/bin/sh\necho {machine}\n")
        uname.chmod(0o755)
        path = f"{folder}:{os.environ['PATH']}"
        env = {"PATH": path, "DPKG_MAINTSCRIPT_PACKAGE": package, "DPKG_MAINTSCRIPT_ARCH": architecture}
        return subprocess.run(["sh", PREINST, "install"], env=env, check=False, capture_output=True, text=True)


class Preinst(unittest.TestCase):
    def test_what_would_not_run_is_refused(self):
        done = run("tidegate", "armhf", "armv6l")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Install tidegate-armv6 instead", done.stderr)

    def test_everything_else_is_taken(self):
        for package, architecture, machine in [
            ("tidegate", "armhf", "armv7l"),
            ("tidegate", "armhf", "aarch64"),
            ("tidegate", "arm64", "aarch64"),
            ("tidegate-armv6", "armhf", "armv6l"),
            ("tidegate-armv6", "armhf", "armv7l"),
        ]:
            done = run(package, architecture, machine)
            self.assertEqual((done.returncode, done.stderr), (0, ""), (package, machine))


if __name__ == "__main__":
    unittest.main()
