"""Child processes: starting them, communicating with them, watching and ending them."""
