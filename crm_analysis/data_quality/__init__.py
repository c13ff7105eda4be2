"""The chapter on the data themselves: what was delivered, what of it can be used, and for what."""
