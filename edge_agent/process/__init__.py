"""What every process of ours is made of: clock, logs, metrics, supervised threads, shutdown, systemd."""
