"""What the documents say is held to what the product does."""
