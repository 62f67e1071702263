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
        ("hf://org/repo/file.gguf", Hub("org/repo", "file.gguf")),
        ("hf://org/A-b_c.d/q/file 1.gguf@v1.0", Hub("org/A-b_c.d", "q/file 1.gguf", "v1.0")),
        ("hf://org/repo/file.gguf@refs/pr/1", Hub("org/repo", "file.gguf", "refs/pr/1")),
        ("hf://org/repo@abc123/q/file.gguf", Hub("org/repo", "q/file.gguf", "abc123")),
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
        ("hf://", "is not of the form hf://OWNER/NAME/FILE"),
        ("hf://org/repo", "is not of the form hf://OWNER/NAME/FILE"),
        ("hf://datasets/org/repo/file", "is not of the form hf://OWNER/NAME/FILE"),
        ("hf://org/repo@a/file@b", "is not of the form hf://OWNER/NAME/FILE"),
        ("hf:///repo/file", "is not the name of an owner or a repository"),
        ("hf://org/-x/file", "'-x' is not the name of an owner or a repository"),
        ("hf://org/../file", "'..' is not the name of an owner or a repository"),
        ("hf://org/a?b/file", "is not the name of an owner or a repository"),
        ("hf://org/repo/", "is not a relative path"),
        ("hf://org/repo/../../api/x", "is not a relative path"),
        ("hf://org/repo/file@", "'' is not a branch, a tag or a commit"),
        ("hf://org/repo/file@a b", "'a b' is not a branch, a tag or a commit"),
        ("hf://org/repo/file@../x", "is not a branch, a tag or a commit"),
        ("hf://org/repo@/file", "'' is not a branch, a tag or a commit"),
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
