"""What holds for every run: one of its last lines says whether tests were left out for want of palm pictures."""

from collections.abc import Generator

import pytest

from tests import outside


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost, so that its line comes after the list of what was skipped
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Generator[None]:
    yield
    if config.option.collectonly:
        return
    # Reports of parallel workers arrive here too; a skipped one carries (file, line, reason).
    reports = terminalreporter.getreports("skipped")
    reasons = [str(report.longrepr[2]) for report in reports if isinstance(report.longrepr, tuple)]
    terminalreporter.write_line(outside.summarise(outside.count_skipped(reasons)))
