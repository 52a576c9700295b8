"""Comments, docstrings, messages and documents are in plain English: a pattern of foreign phrases matches rarely."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/glossary.md", "CHANGELOG.md", "CONTRIBUTING.md")
FOREIGN = re.compile(
    r"\b(whoever|nobody|so (many|long|few|often)\b|(is|are) none\b|of which|who (has|have|waits?|comes|asks|is not)\b"
    r"|what (comes|follows|became|becomes|waits|runs|is there)\b|there is nothing|as it (is|was)\b)",
    re.IGNORECASE,
)
#: The pattern matches some innocent sentences, too.
MAX_HITS = 40


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments and the string literals of a module, docstrings included, with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def hits() -> Iterator[str]:
    for folder in (ROOT / "cloudo_kernel", ROOT / "extension"):
        for path in sorted(folder.rglob("*.py")):
            for line, text in texts(path.read_text()):
                for found in FOREIGN.finditer(text):
                    yield f"{path.relative_to(ROOT)}:{line}: {found[0]}"
    for name in DOCUMENTS:
        prose = re.sub(r"^```.*?^```$", "", (ROOT / name).read_text(), flags=re.MULTILINE | re.DOTALL)
        yield from (f"{name}: {found[0]}" for found in FOREIGN.finditer(prose))


def test_comments_messages_and_documents_are_in_plain_english() -> None:
    found = list(hits())
    assert len(found) <= MAX_HITS, "\n".join(found)
