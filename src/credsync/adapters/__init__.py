"""Thin adapters: each brings one technology to the ports, and knows nothing of the others."""
