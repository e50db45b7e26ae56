"""A run that hangs is ended, with the stacks of its threads; one that rests or goes on is not."""

import subprocess
import sys
import textwrap
import time

from ssl_jax.train.watchdog import Watchdog


def test_a_hang_ends_the_process():
    code = """
        import threading, time
        from ssl_jax.train.watchdog import Watchdog

        def stuck_here():
            time.sleep(60)

        dog = Watchdog(0.5)
        dog.hear()
        threading.Thread(target=stuck_here, daemon=True).start()
        time.sleep(60)
    """
    begun = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert ended.returncode == 1 and time.monotonic() - begun < 30
    assert "Failed: no step ended for 0.5 s (config.hang_seconds)" in ended.stderr
    assert "stuck_here" in ended.stderr and ended.stderr.count("most recent call first") >= 3


def test_who_is_heard_of_or_rests_goes_on():
    dog = Watchdog(0.4)
    for _ in range(8):
        dog.hear()
        time.sleep(0.1)
    dog.rest()
    time.sleep(0.8)
    dog.hear()
    dog.close()
    time.sleep(0.8)


def test_none_watches_without_seconds():
    dog = Watchdog(0)
    dog.hear()
    dog.close()
