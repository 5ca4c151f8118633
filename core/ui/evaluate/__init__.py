"""The Evaluate page: cases with true masks and networks come in; tables and charts go out."""
