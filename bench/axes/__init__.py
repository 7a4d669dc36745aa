"""What can be varied: one room an axis."""
