"""What a platform must be, and the only door to the outside."""
