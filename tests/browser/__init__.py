"""The page in a real browser, and its modules in node."""
