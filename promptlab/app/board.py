"""Moved to core."""

from promptlab.core.board import Board

__all__ = ["Board"]
