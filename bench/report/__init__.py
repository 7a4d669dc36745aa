"""Summary -> one self-contained HTML page, Markdown, CSV, plain text."""
