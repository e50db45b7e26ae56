"""Where freed memory is kept, and that it is; each in a process of its own, as it cannot be undone."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")

# Of 64 MiB, which are 16,384 pages: what is asked for again and again.
CODE = """
import resource
from ssl_jax.train import memory

print(memory.keep_freed() if {keep} else None)
pages = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(2**26)
before = pages()
for _ in range(10):
    bytearray(2**26)
print(pages() - before)
"""


def answers(*, keep: bool, platforms: str = "cpu") -> list[str]:
    # GLIBC's own allocator, whatever the tests run with.
    variables = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = [sys.executable, "-c", CODE.format(keep=keep)]
    environment = variables | {"JAX_PLATFORMS": platforms}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


def test_what_is_freed_is_kept_on_cpus():
    kept, pages = answers(keep=True)
    assert kept == "True" and int(pages) < 1000
    assert int(answers(keep=False)[1]) > 100_000


def test_nothing_is_done_beside_accelerators():
    kept, pages = answers(keep=True, platforms="cuda,cpu")
    assert kept == "False" and int(pages) > 100_000
