"""Predicted and true masks come in; agreement by case, slice and threshold goes out."""
