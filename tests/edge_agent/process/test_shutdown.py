"""A signal that comes while the main thread waits for it."""

import signal

from edge_agent.process.shutdown import ShutdownFlag


def test_a_signal_ends_the_wait_wherever_in_it_the_handler_runs() -> None:
    before = signal.getsignal(signal.SIGPROF)
    try:
        for _ in range(100):
            shutdown = ShutdownFlag()
            signal.signal(signal.SIGPROF, lambda *_, shutdown=shutdown: shutdown.set())
            signal.setitimer(signal.ITIMER_PROF, 0.001)  # of our own computing: the handler comes in the middle of it
            while not shutdown.wait(0):
                pass
            assert shutdown.is_set()
    finally:
        signal.signal(signal.SIGPROF, before)


def test_it_stays_set() -> None:
    shutdown = ShutdownFlag()
    assert not shutdown.wait(0)
    shutdown.set()
    assert shutdown.wait(30)
    assert shutdown.wait(30)
