"""Comments as other languages begin them."""

from __future__ import annotations

from collections.abc import Iterator

from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped
from spacedsl.syntax.words import keywords
from spacedsl.text import Span


def comments(stopped: Stopped) -> Iterator[Rewrite]:
    """`// ...`, `/* ... */`, `-- ...`, `% ...` and `<!-- ... -->`."""
    for by in (0, -1):
        signs = stopped.at(by).text + (stopped.at(by + 1).text if stopped.touches(by + 1) else "")
        number = stopped.index + by
        start = stopped.at(by).span.start
        text = stopped.source.text
        if signs == "/*":
            yield from _long(stopped, number, "/*", "*/")
        elif text.startswith("<!--", start):
            yield from _long(stopped, number, "<!--", "-->")
        elif text.startswith(('"""', "'''"), start):
            yield from _long(stopped, number, text[start : start + 3], text[start : start + 3])
        elif signs == "--" and _is_option(stopped, by):
            return
        elif signs in ("//", "--") or (signs[:1] in ("%", ";") and _begins_words(stopped, by)):
            sign = signs[:1] if signs[:1] in ("%", ";") else signs
            after = stopped.line_end(number)
            end = stopped.tokens[after - 1].span.end
            said = text[start + len(sign) : end]
            if not said.strip("-=/"):  # a rule across the page
                yield _comment(stopped, number, after, sign, Put(Span(start, end), ""))
            yield _comment(stopped, number, after, sign, Put(Span(start, end), f"#{said}"))
            inner = said.rstrip(" }")
            closing = stopped.past(number, start + len(sign) + len(inner))
            if closing < after and inner.count("{") == inner.count("}"):
                put = Put(Span(start, end), f"{said[len(inner) :].strip()}  #{inner}")
                yield _comment(stopped, number, closing, sign, put)


def _is_option(stopped: Stopped, by: int) -> bool:
    """Whether `--` stands before a key in a body, as on a command line."""
    touches = stopped.touches(by + 2) and stopped.at(by + 2).text.isidentifier()
    return touches and not stopped.is_first(by) and stopped.at(by - 1).text != "}"


def _begins_words(stopped: Stopped, by: int) -> bool:
    """Whether a sign is the first on its line, and no word of the language follows it there."""
    after = stopped.at(by + 1)
    return stopped.is_first(by) and (after.type not in keywords() or stopped.is_first(by + 1))


def _long(stopped: Stopped, number: int, opening: str, closing: str) -> Iterator[Rewrite]:
    text, start = stopped.source.text, stopped.tokens[number].span.start
    found = text.find(closing, start + len(opening))
    inner_end = len(text) if found < 0 else found
    end = len(text) if found < 0 else found + len(closing)
    after = number
    while after < len(stopped.tokens) - 1 and stopped.tokens[after].span.start < end:
        after += 1
    lines = text[start + len(opening) : inner_end].strip().split("\n")
    said = "\n".join("# " + line.strip().lstrip("*").strip() for line in lines)
    more = text[end:].partition("\n")[0].strip()
    put = Put(Span(start, end), said.replace("# \n", "#\n") + ("\n" if more else ""))
    yield _comment(stopped, number, after, opening, put)


def _comment(stopped: Stopped, number: int, after: int, sign: str, put: Put) -> Rewrite:
    start = put.span.start
    return Rewrite(
        "comment",
        f"`{sign}` begins no comment here",
        Span(start, start + len(sign)),
        (Change(number, after, ""),),
        "a comment begins with `#` and ends with its line",
        "begin it with `#`",
        (put,),
    )


HABITS = (comments,)
