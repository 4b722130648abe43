"""Images and labels: where they come from, and the views of them that networks see. No torch."""
