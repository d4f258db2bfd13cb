"""The answers of the running daemon on its control socket: one class for each noun, with only the parts it needs."""
