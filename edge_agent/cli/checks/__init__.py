"""The checks of `edge-agent doctor`. Each check reads, changes nothing, and yields its findings."""
