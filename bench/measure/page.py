"""The page of results: Markdown with sections between marks, which are replaced as they are measured.

    <!-- relay -->
    ...
    <!-- /relay -->

Whatever stands outside of marks is prose, and stays. Pure, but for read() and write().
"""
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/PERFORMANCE.md"

_MARK = re.compile(r"^<!-- (/?)([a-z]+) -->$", re.MULTILINE)


class BadPage(Exception):
    """The marks of a page do not pair; the message is the line that says which."""


def sections(text):
    """The names of all sections in their order; BadPage where marks do not pair."""
    found, within = [], None
    for closing, name in _MARK.findall(text):
        if closing and within != name:
            raise BadPage(f"'<!-- /{name} -->' closes what is not open")
        if not closing and within:
            raise BadPage(f"'<!-- {name} -->' stands within '{within}'")
        if not closing and name in found:
            raise BadPage(f"'<!-- {name} -->' stands there twice")
        if not closing:
            found.append(name)
        within = None if closing else name
    if within:
        raise BadPage(f"'<!-- {within} -->' is not closed")
    return found


def put(text, name, body):
    """The page with `body` in the section `name`."""
    if name not in sections(text):
        raise BadPage(f"no section '{name}'")
    before, rest = text.split(f"<!-- {name} -->\n", 1)
    after = rest.split(f"<!-- /{name} -->", 1)[1]
    return f"{before}<!-- {name} -->\n\n{body.strip()}\n\n<!-- /{name} -->{after}"


def measured(date, commit, name, tables):
    """What stands in a section."""
    return f"{tables.strip()}\n\nMeasured {date} on {commit} by `./dev bench {name}`."


def read(path=PAGE):
    return Path(path).read_text()


def write(text, path=PAGE):
    """In place of the old one, at once: who stops us in the middle loses nothing."""
    fresh = Path(f"{path}.new")
    fresh.write_text(text)
    fresh.replace(path)
