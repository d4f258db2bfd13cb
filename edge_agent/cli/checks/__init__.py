"""What support asks for, for `edge-agent doctor`. Each check looks, changes nothing, and yields what it found."""
