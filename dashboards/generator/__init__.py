"""Writes the dashboards: what they show is in the modules named after them, what they say in words.toml."""
