"""Servers for these tests."""

from __future__ import annotations

from tests.webkit import certificate, hub, server

__all__ = ["certificate", "hub", "server"]
