"""The station: one scan at a time becomes a durable event and a feedback."""
