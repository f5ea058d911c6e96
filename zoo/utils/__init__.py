"""Files, locks, signals, text, hardware: what any package may use."""
