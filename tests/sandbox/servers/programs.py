"""Small programs for the supervisor's tests, told apart by the files that they write."""

import sys
from datetime import timedelta

from sandbox.process import ProcessSpec

# Says that it runs, notes its orderly end, and otherwise waits.
POLITE = """
import pathlib, signal, sys, time
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
def leave(*_):
    with (folder / "ends").open("a") as ends:
        ends.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
(folder / (name + ".ready")).touch()
while True:
    time.sleep(60)
"""

STUBBORN = POLITE.replace(
    "signal.signal(signal.SIGTERM, leave)", "signal.signal(15, signal.SIG_IGN)"
)

# Leaves a child in a session of its own, and a grandchild whose parent is dead already.
PARENT = """
import os, pathlib, subprocess, sys, time
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleeper, start_new_session=True)
orphaning = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], start_new_session=True).pid)"
process = subprocess.Popen(
    [sys.executable, "-c", orphaning, *sleeper], stdout=subprocess.PIPE, start_new_session=True)
orphan = int(process.stdout.readline())
process.wait()
(folder / "family").write_text(f"{child.pid} {orphan}")
(folder / (name + ".ready")).touch()
time.sleep(600)
"""

CRASHING = """
import sys
print("the disk is on fire", flush=True)
sys.exit(3)
"""


def spec(folder, name, program=POLITE, **settings):
    """A process that is ready once it has written its file."""

    async def ready():
        return (folder / f"{name}.ready").exists()

    settings.setdefault("stop_grace", timedelta(seconds=5))
    return ProcessSpec(
        name=name, argv=(sys.executable, "-c", program, str(folder), name), ready=ready, **settings
    )
