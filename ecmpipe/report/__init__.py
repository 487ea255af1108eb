"""Report stage: figures, tables, summary and page."""
