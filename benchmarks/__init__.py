"""The figures that this project keeps, measured on loopback: ``python -m benchmarks``."""
