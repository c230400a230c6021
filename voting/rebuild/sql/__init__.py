"""The statements of the rebuilding."""
