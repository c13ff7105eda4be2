"""Satisfaction and loyalty: how satisfied customers are, where satisfaction turns into loyalty, what to fix first."""
