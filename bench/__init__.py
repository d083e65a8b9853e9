"""Benchmarks: what credsync costs beside doing the same by hand, as ratios measured side by side in one run."""
