"""`models plan` against what real workers hold; `benchmarks/memory.py` prints the figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memory import CONTEXT, SEQUENCES, measure
from promptlab.app.memory import estimate
from promptlab.files.models import present, read_models
from promptlab.files.paths import shipped_library

pytestmark = pytest.mark.model


@pytest.mark.parametrize("sequences", SEQUENCES)
@pytest.mark.parametrize("name", ["smollm2-135m", "gemma3-270m"])
def test_what_is_expected_is_within_15_percent_of_what_is_measured(name: str, sequences: int) -> None:
    model = replace(read_models(shipped_library() / "models.yaml")[name], context=CONTEXT)
    path = present(model)
    assert path is not None
    assert estimate(model, path, sequences).total == pytest.approx(measure(model, path, sequences), rel=0.15)
