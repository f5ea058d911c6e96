"""Images and labels in a table."""
