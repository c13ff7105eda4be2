"""Customer value: who brings it, who will, who costs more than they bring, and who is slipping away."""
