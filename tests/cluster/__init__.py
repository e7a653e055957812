"""Tests on a real API server and scheduler."""
