"""Where freed memory is kept, and that it is; each in a process of its own, as it cannot be undone."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")

# What is asked for again and again: 64 MiB are 16,384 pages, and 1.5 GiB are more than it keeps below a threshold.
SIZES = {2**26: 10, 3 * 2**29: 2}  # bytes: times
CODE = """
import resource
from ssl_jax.train import memory

print(memory.keep_freed() if {keep} else None)
pages = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray({size})
before = pages()
for _ in range({times}):
    bytearray({size})
print(pages() - before)
"""


def answers(*, keep: bool, size: int = 2**26, platforms: str = "cpu") -> list[str]:
    # GLIBC's own allocator, whatever the tests run with.
    variables = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = [sys.executable, "-c", CODE.format(keep=keep, size=size, times=SIZES[size])]
    environment = variables | {"JAX_PLATFORMS": platforms}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("size", SIZES)
def test_what_is_freed_is_kept_on_cpus(size):
    kept, pages = answers(keep=True, size=size)
    assert kept == "True" and int(pages) < 1000
    assert int(answers(keep=False, size=size)[1]) > 100_000


def test_nothing_is_done_beside_accelerators():
    kept, pages = answers(keep=True, platforms="cuda,cpu")
    assert kept == "False" and int(pages) > 100_000
