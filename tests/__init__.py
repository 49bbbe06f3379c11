"""The tests of pytest-chaos."""
