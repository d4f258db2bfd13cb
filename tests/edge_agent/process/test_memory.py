"""Memory that was needed for a moment goes back to the system."""

import subprocess
import sys

FREED_MIB = 40
CODE = f"""
import resource
from edge_agent.process.memory import return_free_memory
def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 2**20
texts = [bytes(2_000) for _ in range({FREED_MIB} * 500)]
last = bytes(2_000)  # stands at the heap's end, so that the C library keeps everything below it
del texts
before = resident_mib()
return_free_memory()
print(before - resident_mib())
"""


def test_freed_memory_is_returned() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= FREED_MIB // 2
