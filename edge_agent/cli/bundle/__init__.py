"""`edge-agent doctor --bundle`: what support asks for in one file, without names, card numbers and secrets.

    settings, status, journal ─▶ parts, by lists of what may go out ─┐
    log lines ───────────────────────────────────────────────────────┴▶ redaction ─▶ search ─▶ archive

What goes out is listed by name, and nothing else does. Texts that people or libraries wrote are redacted besides. At
the end every byte is searched for what is private on this kiosk, and nothing is written where something is found.
"""
