"""The staff's page on paired tablets and phones, over TLS in the school's network; loaded only where switched on."""
