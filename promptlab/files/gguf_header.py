"""What a GGUF file says of its model for people to read: beyond what the plan for loading it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from promptlab.errors import EngineError
from promptlab.files.gguf import Broken, Metadata, Shape, Tensors, Value, check_header, shape_of, unusable

MAX_TEMPLATE = 256 << 10
"""Bytes of a chat template that are read; the longest that are known have some 20,000."""
MAX_FACT = 200
"""Of any other text."""

_FACTS = ("general.name", "general.license", "tokenizer.ggml.model", "tokenizer.ggml.pre")
_TEMPLATE = "tokenizer.chat_template"
_FILE_TYPE = "general.file_type"

# As llama.cpp numbers them (`llama_ftype`); those that are missing are no longer supported.
QUANTIZATIONS = {
    **{0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S"},
    **{12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K"},
    **{19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL"},
    **{26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0"},
    **{37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0", 41: "Q2_0"},
}
# As ggml numbers them (`ggml_type`).
TENSOR_TYPES = {
    **{0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K"},
    **{11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS"},
    **{19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32"},
    **{27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4"},
    **{41: "Q1_0", 42: "Q2_0"},
}


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its model. Texts are empty where it says nothing."""

    shape: Shape
    parameters: int
    """Numbers in its tensors."""
    name: str
    license: str
    quantization: str
    """How most of the numbers are stored."""
    tokenizer: str
    chat_template: str
    tensors: tuple[tuple[str, int], ...] = ()
    """How many tensors there are of each type, the most frequent first."""
    largest: int = 0
    """Numbers in the largest tensor."""

    @property
    def tensor_types(self) -> str:
        """The types of its tensors, in words."""
        parts = [f"{name} ({count:,})" for name, count in self.tensors]
        return ", ".join([parts[0].replace(")", " tensors)"), *parts[1:]]) if parts else ""


def read_header(path: Path) -> Header:
    """Read what a file says of its model. Raises EngineError with one line that says what is wrong."""
    check_header(path)
    try:
        with path.open("rb", buffering=1 << 18) as file:
            size = path.stat().st_size
            texts = {**dict.fromkeys(_FACTS, MAX_FACT), _TEMPLATE: MAX_TEMPLATE}
            metadata = Metadata(file, size, texts, frozenset({_FILE_TYPE}))
            found = metadata.read()
            return _header(found, shape_of(found, size), metadata.tensors())
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from None
    except Broken as error:
        raise unusable(path, str(error)) from None


def _header(found: dict[str, Value], shape: Shape, tensors: Tensors) -> Header:
    def text(key: str) -> str:
        value = found.get(key, "")
        return value if isinstance(value, str) else ""

    kind = found.get(_FILE_TYPE)
    number = kind[0] if isinstance(kind, tuple) else None
    return Header(
        shape=shape,
        parameters=tensors.parameters,
        name=text("general.name"),
        license=text("general.license"),
        quantization="" if number is None else QUANTIZATIONS.get(number, f"file type {number}"),
        tokenizer=" ".join(filter(None, map(text, _FACTS[2:]))),
        chat_template=text(_TEMPLATE),
        tensors=_named(tensors),
        largest=tensors.largest,
    )


def _named(tensors: Tensors) -> tuple[tuple[str, int], ...]:
    counts = sorted(tensors.types.items(), key=lambda each: -each[1])
    return tuple((TENSOR_TYPES.get(kind, f"type {kind}"), count) for kind, count in counts)
