from __future__ import annotations

import pytest

from promptlab.files.sources import Address, Hub, LocalPath, Source, Wheel, parse_source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("weights/a.gguf", LocalPath("weights/a.gguf")),
        ("~/a.gguf", LocalPath("~/a.gguf")),
        ("/srv/a.gguf", LocalPath("/srv/a.gguf")),
        ("pypi://llm-x==0.1.2/llm_x/A-B.Q4_1.gguf", Wheel("llm-x", "0.1.2", "llm_x/A-B.Q4_1.gguf")),
        ("pypi://a==1!2.0rc1+cpu/f", Wheel("a", "1!2.0rc1+cpu", "f")),
        ("hf://org/repo/file.gguf", Hub("hf://org/repo/file.gguf")),
        ("https://host/file.gguf", Address("https://host/file.gguf")),
    ],
)
def test_good_sources(text: str, source: Source) -> None:
    assert parse_source(text) == source


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a source is a text"),
        ("  ", "a source is a text"),
        ("a\nb", "without line breaks"),
        ("x" * 1001, "1 to 1000 characters"),
        ("ftp://host/x", "there are paths, pypi://, hf:// and https://"),
        ("http://host/x", "is not a source"),
        ("file:///etc/passwd", "is not a source"),
        ("https://", "is not of the form https://HOST/PATH"),
        ("pypi://a/f", "PACKAGE==VERSION/FILE-IN-WHEEL"),
        ("pypi://a==1", "PACKAGE==VERSION/FILE-IN-WHEEL"),
        ("pypi://--index-url==1/f", "'--index-url' is not the name of a package"),
        ("pypi://a[x]==1/f", "is not the name of a package"),
        ("pypi://a @ b==1/f", "is not the name of a package"),
        ("pypi://==1/f", "is not the name of a package"),
        ("pypi://a==/f", "is not one exact version"),
        ("pypi://a==1.*/f", "is not one exact version"),
        ("pypi://a==1,<2/f", "is not one exact version"),
        ("pypi://a==1 -r x/f", "is not one exact version"),
        ("pypi://a===1/f", "is not one exact version"),
        ("pypi://a==1/", "is not a relative path"),
        ("pypi://a==1//etc/passwd", "is not a relative path"),
        ("pypi://a==1/x/../../y", "is not a relative path"),
        ("pypi://a==1/./y", "is not a relative path"),
        ("pypi://a==1/x\\..\\y", "is not a relative path"),
    ],
)
def test_bad_sources(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        parse_source(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
