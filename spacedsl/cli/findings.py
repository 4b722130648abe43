"""Diagnostics for other tools: SARIF 2.1.0 and GitHub annotations, both from the JSON form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

Json = dict[str, Any]

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(diagnostics: Sequence[Json]) -> Json:
    """A SARIF log of one run."""
    codes = sorted({d["code"] for d in diagnostics})
    driver = {
        "name": "spacedsl",
        "rules": [{"id": c, "help": {"text": f"spacedsl explain {c}"}} for c in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(d) for d in diagnostics],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(diagnostic: Json) -> Json:
    message = diagnostic["message"]
    if diagnostic["help"]:
        message += f" (help: {diagnostic['help']})"
    result: Json = {
        "ruleId": diagnostic["code"],
        "level": diagnostic["severity"],
        "message": {"text": message},
    }
    if diagnostic["place"]:
        result["locations"] = [{"physicalLocation": _location(diagnostic["place"])}]
    if diagnostic["labels"]:
        result["relatedLocations"] = [
            {
                "physicalLocation": _location(label["place"]),
                "message": {"text": label["message"]},
            }
            for label in diagnostic["labels"]
        ]
    if diagnostic["fixes"]:
        result["fixes"] = [_fix(fix) for fix in diagnostic["fixes"]]
    return result


def _location(place: Json) -> Json:
    return {"artifactLocation": {"uri": _uri(place)}, "region": _region(place)}


def _uri(place: Json) -> str:
    return PurePath(place["file"]).as_posix()


def _region(place: Json) -> Json:
    return {
        "startLine": place["line"],
        "startColumn": place["column"],
        "endLine": place["end_line"],
        "endColumn": place["end_column"],
    }


def _fix(fix: Json) -> Json:
    replacement = {"deletedRegion": _region(fix["place"]), "insertedContent": {"text": fix["text"]}}
    change = {"artifactLocation": {"uri": _uri(fix["place"])}, "replacements": [replacement]}
    return {"description": {"text": fix["title"]}, "artifactChanges": [change]}


def annotation(diagnostic: Json) -> str:
    """A workflow command that GitHub shows beside the line."""
    place, fields = diagnostic["place"], {"title": diagnostic["code"]}
    if place:
        fields |= {"file": _uri(place), "line": place["line"], "endLine": place["end_line"]}
        if place["line"] == place["end_line"]:
            fields |= {"col": place["column"], "endColumn": place["end_column"]}
    listed = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in fields.items())
    message = diagnostic["message"]
    if diagnostic["help"]:
        message += f"\nhelp: {diagnostic['help']}"
    return f"::{diagnostic['severity']} {listed}::{_escaped(message)}"


def _escaped(text: str, also: str = "") -> str:
    for sign in f"%\r\n{also}":
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text
