"""The wallet's statements, one a file, each with a header of its parameters and columns."""
