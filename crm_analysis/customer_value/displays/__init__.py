"""What the notebook shows, one module per topic: frames for charts, tables of finished text, the words beside them."""
