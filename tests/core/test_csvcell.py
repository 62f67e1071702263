from __future__ import annotations

import pytest

from promptlab.core.csvcell import FORMULA, harmless


@pytest.mark.parametrize("begin", FORMULA)
def test_what_a_spreadsheet_would_run_has_an_apostrophe_before_it(begin: str) -> None:
    assert harmless(f"{begin}1") == f"'{begin}1"
    assert harmless(f"a{begin}1") == f"a{begin}1"


def test_everything_else_stays_as_it_is_but_what_is_no_unicode() -> None:
    assert harmless("") == ""
    assert harmless('a;b,\n"c" \'=d') == 'a;b,\n"c" \'=d'
    assert harmless("\ud800=x") == "\ufffd=x"
