"""The package as people get it: sdist, wheels, installs."""
