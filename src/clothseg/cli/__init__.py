"""The command line: one file a command group. It parses, calls and prints; the work is done in the layers below."""

from clothseg.cli.app import app, main

__all__ = ["app", "main"]
