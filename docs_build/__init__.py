"""What the site of docs/ is made with, besides mkdocs: pages from the code, figures from data, README for an index."""
