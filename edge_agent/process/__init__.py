"""Parts of a long-running process: clock, logs, metrics, supervised threads, shutdown, systemd."""
