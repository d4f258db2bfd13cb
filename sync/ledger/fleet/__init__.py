"""The city's kiosks as they stand: what each last told of itself, and which of them need somebody."""
