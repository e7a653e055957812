"""Rightarch: pods land only on nodes whose architecture all of their images support."""
