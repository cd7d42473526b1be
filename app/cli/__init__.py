"""The `voxproof` command: text for people on a terminal, JSON lines for pipes."""
