"""What the notebook shows, one module per topic: tables of finished text, frames for charts, and the words beside them."""
