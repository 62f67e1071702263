"""Properties are checked without a clock and leave nothing on the disk: two busy cores are slow, not wrong."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("promptlab", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("promptlab")
