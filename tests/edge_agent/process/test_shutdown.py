"""A signal that comes while the main thread waits for it."""

import signal

from edge_agent.process.shutdown import Ending


def test_a_signal_ends_the_wait_wherever_in_it_the_handler_runs() -> None:
    before = signal.getsignal(signal.SIGPROF)
    try:
        for _ in range(100):
            ending = Ending()
            signal.signal(signal.SIGPROF, lambda *_, ending=ending: ending.set())
            signal.setitimer(signal.ITIMER_PROF, 0.001)  # of our own computing: the handler comes in the middle of it
            while not ending.wait(0):
                pass
            assert ending.is_set()
    finally:
        signal.signal(signal.SIGPROF, before)


def test_it_stays_set() -> None:
    ending = Ending()
    assert not ending.wait(0)
    ending.set()
    assert ending.wait(30)
    assert ending.wait(30)
