"""Readers, one a kind of source: text in, processes and findings out."""
