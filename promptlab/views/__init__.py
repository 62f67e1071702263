"""What is shown, as pure functions: from cells, records and rows to text, JSON and rich renderables."""
