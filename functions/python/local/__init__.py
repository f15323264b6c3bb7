"""Runs the handlers on this machine, each in the vendor's own runtime where that can be installed: `python -m local.serve --help`."""
