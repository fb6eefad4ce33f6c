"""What every view owes: JSON that is alone and whole, and drawings that fit the terminal."""

import json

import jsonschema
import pytest
from typer.testing import CliRunner

from charrnn.cli.app import app

ENVELOPE = ("schema", "view", "model", "data", "settings", "units", "result", "warnings")
INTERVAL = {
    "type": "object",
    "required": ["mean", "low", "high"],
    "additionalProperties": False,
    "properties": {name: {"type": ["number", "null"]} for name in ("mean", "low", "high")},
}


def envelope_schema(view, result):
    """Return the schema of a view whose result is an object with the properties `result`."""
    return {
        "type": "object",
        "required": list(ENVELOPE),
        "additionalProperties": False,
        "properties": {
            "schema": {"const": "charrnn.inspect/1"},
            "view": {"const": view},
            "model": {"type": "object", "required": ["path", "sha256", "cell_type", "level"]},
            "data": {
                "type": ["object", "null"],
                "required": ["path", "sha256", "part", "n", "unknown"],
            },
            "settings": {"type": "object"},
            "units": {"type": "object", "additionalProperties": {"type": "string"}},
            "result": {
                "type": "object",
                "required": list(result),
                "additionalProperties": False,
                "properties": result,
            },
            "warnings": {"type": "array", "items": {"type": "string"}},
        },
    }


def json_of(arguments, result_schema):
    """Return the object that the view writes, which must be alone, ASCII, without NaN."""
    arguments = [str(argument) for argument in arguments]
    found = CliRunner().invoke(app, ["inspect", *arguments, "--json"])
    assert found.exit_code == 0, found.output
    assert found.stdout.isascii()
    value = json.loads(found.stdout, parse_constant=lambda name: pytest.fail(name))
    jsonschema.validate(value, envelope_schema(arguments[0], result_schema))
    return value


def drawing_of(arguments, columns):
    """Return what the view draws without colours on so many columns, which it must fit."""
    arguments = [str(argument) for argument in arguments]
    environment = {"COLUMNS": str(columns), "NO_COLOR": "1"}
    found = CliRunner().invoke(app, ["inspect", *arguments], env=environment)
    assert found.exit_code == 0, found.output
    assert "\x1b" not in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= columns
    return found.stdout
