"""What will run: suite, discovery, cells, selection."""
