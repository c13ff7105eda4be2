"""Measured side by side, in one run, on data whose making is stated: `make bench`."""
