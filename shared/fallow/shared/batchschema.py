"""The JSON Schema of batch files, for editors: made from the very tables that read them.

Not the reading (`batchkeys`) nor the checks (`checks`): what only those can know, such as two jobs
of one name, no schema can say. Published as docs/fallow-batch.schema.json.
"""

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from fallow.shared import batchkeys as keys
from fallow.shared.ids import NAME_LENGTH
from fallow.shared.keydocs import KEY_DOCS
from fallow.shared.reading import Choice, Made, Many, Reader, Shape
from fallow.shared.terms import SIGNALS

Schema: TypeAlias = dict[str, Any]

_NAME: Final = r"^[^-. /\\:\x00-\x1f\x7f]([^/\\:\x00-\x1f\x7f]*[^. /\\:\x00-\x1f\x7f])?$"
_NUMBER: Final = r"[0-9]{1,18}(\.[0-9]{1,9})?"
_PART: Final = _NUMBER + r"\s*"
_UNIT: Final = r"([bB]|[kKmMgGtTpP]([iI]?[bB])?)?"
_MATRIX: Final = r"@[^\s:@]+:[^\s/@]+"
_SWEPT: Final = r"^(?!(cpus|gpus|index|name)$)[^\W0-9][\w]*$"
_OPTION: Final = r"^[a-z][a-z0-9]*([-_][a-z0-9]+)*$"
_VARIABLE: Final = r"^(?!FALLOW_)[A-Za-z_][A-Za-z0-9_]*$"
_MOUNT: Final = r"^/[^:,\\\x00-\x1f\x7f]*[^/:,\\\x00-\x1f\x7f][^:,\\\x00-\x1f\x7f]*$"

_TEXT: Final[Schema] = {"type": ["string", "number", "boolean"]}
_VALUE: Final[Schema] = {"type": ["string", "number", "boolean"]}
_OPTION_VALUE: Final[Schema] = {
    "type": ["string", "number", "boolean", "null"],
    "pattern": r"^[^\x00-\x1f\x7f]*$",
}
_FULL: Final[Schema] = {
    "anyOf": [{"type": ["number", "boolean"]}, {"type": "string", "pattern": "."}]
}


def _text(pattern: str, **more: Any) -> Schema:
    """Text of this form; a number or a truth is text that YAML has guessed at."""
    return {"type": ["string", "number", "boolean"], "pattern": pattern, **more}


def _whole(least: int, most: int | None = None) -> Schema:
    number: Schema = {"type": "integer", "minimum": least}
    if most is not None:
        number["maximum"] = most
    sign = r"^[-+]?" if least < 0 else r"^\+?"
    return {"anyOf": [number, {"type": "string", "pattern": sign + r"(0|[1-9][0-9]{0,17})$"}]}


def _more_than_nothing(one: Schema) -> Schema:
    return {**one, "not": {"anyOf": [{"const": 0}, {"type": "string", "pattern": r"^[\s0.]*\D*$"}]}}


_DURATION: Final[Schema] = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {
            "type": "string",
            "pattern": rf"^\s*({_NUMBER}|({_PART}w\s*)?({_PART}d\s*)?({_PART}h\s*)?({_PART}m\s*)?"
            rf"({_PART}s\s*)?)$",
            "minLength": 1,
        },
    ]
}
_SIZE: Final[Schema] = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": rf"^\s*(?![0.]+\s*\D*$){_PART}{_UNIT}\s*$"},
    ]
}
_READERS: Final[dict[Callable[..., Any], Schema]] = {
    Reader.text: _TEXT,
    Reader.whole: _whole(-(10**18)),
    Reader.truth: {
        "anyOf": [
            {"type": "boolean"},
            {
                "type": "string",
                "pattern": "^([yY]es|YES|[nN]o|NO|[oO]n|ON|[oO]ff|OFF|[tT]rue|TRUE|"
                "[fF]alse|FALSE)$",
            },
        ]
    },
    Reader.size: _SIZE,
    Reader.duration: _DURATION,
    Reader.number: {
        "anyOf": [
            {"type": "number"},
            {"type": "string", "pattern": r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"},
        ]
    },
    Reader.value: _VALUE,
}

# What the checks say of single values, as far as a schema can say it.
_CLOSER: Final[dict[str, Schema]] = {
    "Meta.namespace": _text(_NAME, maxLength=NAME_LENGTH),
    "Meta.batch_name": _text(_NAME, maxLength=NAME_LENGTH),
    "Meta.capabilities": {"type": "array", "items": _text(_NAME, maxLength=NAME_LENGTH)},
    "Meta.matrix": _text(rf"^{_MATRIX}$"),
    "PythonJob.name": _text(_NAME, maxLength=NAME_LENGTH),
    "ApptainerJob.name": _text(_NAME, maxLength=NAME_LENGTH),
    "CommandJob.name": _text(_NAME, maxLength=NAME_LENGTH),
    "Resources.cpus": _whole(1, 100_000),
    "Resources.gpus": _whole(0, 1000),
    "OnFailure.retries": _whole(0, 1000),
    "Range.count": _whole(2, 1_000_000),
    "Checkpoint.signal": {"enum": list(SIGNALS)},
    "Checkpoint.files": {
        "type": "array",
        "items": _text(r"^(?!(.*/)?\.\.?(/|$))[^/\\:\x00-\x1f\x7f][^\\:\x00-\x1f\x7f]*$"),
    },
    "Batch.notify": {
        "type": "array",
        "items": _text(rf"^(desktop|matrix:{_MATRIX}|https?://[^\s/]+(/\S*)?)$"),
        "maxItems": 100,
    },
    "Batch.after": {
        "type": "array",
        "items": _text(r"^[^\\/:]+(:[^\\/:]+)?(/[^\\/:]+)?$"),
        "maxItems": 100,
    },
    "Python.jobs": {"minItems": 1},
    "Apptainer.jobs": {"minItems": 1},
    "File.path": _FULL,
    "Mount.path": _text(_MOUNT),
    "Mount.alias": _text(_MOUNT),
    "Limits.run_time": _more_than_nothing(_DURATION),
    "OnLost.after": _more_than_nothing(_DURATION),
    "File.alias": _text(r"^(?!(.*/)?\.\.?(/|$))[^/\\:\x00-\x1f\x7f][^\\:\x00-\x1f\x7f]*$"),
}
# What must hold between the keys of one place.
_BETWEEN: Final[dict[str, Schema]] = {
    "Batch": {
        "oneOf": [
            {"required": [kind], "properties": {kind: {"type": "object"}}}
            for kind in ("python", "apptainer", "command")
        ]
    },
    "Command": {
        "oneOf": [
            {
                "required": ["sweep", "name", "run"],
                "properties": {
                    "sweep": {"type": "object"},
                    "name": {"not": {"type": "null"}},
                    "run": {"not": {"type": "null"}},
                    "jobs": {"type": ["array", "null"], "maxItems": 0},
                },
            },
            {
                "required": ["jobs"],
                "properties": {
                    "jobs": {"type": "array", "minItems": 1},
                    "sweep": {"type": "null"},
                    "name": {"type": "null"},
                },
            },
        ]
    },
    "Range": {
        "not": {"required": ["step", "count"], "properties": {"step": {"type": "number"}}},
        "if": {"required": ["scale"], "properties": {"scale": {"const": "log"}}},
        "then": {"required": ["count"]},
    },
}


def schema() -> Schema:
    """The whole schema, draft 2020-12."""
    maker = _Maker()
    batch = maker.struct(keys.BATCH)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Fallow batch file",
        "description": "A batch of jobs for Fallow; distribute-jobs.yaml is accepted as it is.",
        **batch,
        "$defs": dict(sorted(maker.found.items())),
    }


def text() -> str:
    """The same as it is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


class _Maker:
    """Walks the shapes; what has a name of its own goes into `found`."""

    def __init__(self) -> None:
        self.found: dict[str, Schema] = {}

    def struct(self, shape: Shape) -> Schema:
        name = _name_of(shape)
        properties = {}
        for key, read in shape.keys.items():
            one = self._key(f"{name}.{key}", read)
            if key not in shape.needed:
                one = _or_nothing(one)
            properties[key] = {"description": KEY_DOCS[name][key], **one}
        made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if shape.needed:
            made["required"] = list(shape.needed)
        return {**made, **_BETWEEN.get(name, {})}

    def _key(self, place: str, read: Callable[..., Any]) -> Schema:
        closer = _CLOSER.get(place)
        if closer is None:
            return self._read(read)
        # A bound on a list leaves its entries as they are.
        return (
            closer
            if "type" in closer or "anyOf" in closer or "enum" in closer
            else {
                **self._read(read),
                **closer,
            }
        )

    def _read(self, read: Callable[..., Any]) -> Schema:
        match read:
            case Made(shape):
                return self._named(_name_of(shape), lambda: self.struct(shape))
            case Many(one):
                return {"type": "array", "items": self._read(one)}
            case Choice(words):
                return {"enum": list(words)}
        plain = _READERS.get(read)
        return plain if plain is not None else self._function(read)

    def _function(self, read: Callable[..., Any]) -> Schema:
        if read is keys.file:
            return self._named("file", self._file)
        if read is keys.mount:
            place = _text(_MOUNT)
            return self._named("mount", lambda: {"anyOf": [place, self.struct(keys.MOUNT)]})
        if read is keys.command_line:
            words = {"type": "array", "items": _TEXT, "minItems": 1}
            return self._named("line", lambda: {"anyOf": [_FULL, words]})
        if read is keys.env:
            return _mapping(_TEXT, _VARIABLE)
        if read is keys.slurm:
            return _mapping(_OPTION_VALUE, _OPTION)
        if read is keys.row:
            return {**_mapping(_VALUE), "minProperties": 1}
        if read is keys.sweep:
            return self._named("Sweep", self._sweep)
        raise TypeError(f"nothing says what {read} reads")

    def _file(self) -> Schema:
        return {"anyOf": [_FULL, self.struct(keys.FILE)]}

    def _sweep(self) -> Schema:
        docs = KEY_DOCS["Sweep"]
        values = {"anyOf": [_VALUE, {"type": "array", "items": _VALUE, "minItems": 1}]}
        values["anyOf"].append(self._named("Range", lambda: self.struct(keys.RANGE)))
        return {
            "type": "object",
            "properties": {
                "zip": {"description": docs["zip"], **self._read(keys.ZIP)},
                "exclude": {"description": docs["exclude"], **self._read(keys.EXCLUDE)},
                "file": {"description": docs["file"], **_TEXT},
            },
            "propertyNames": {"pattern": _SWEPT},
            "additionalProperties": values,
            "anyOf": [{"required": ["file"]}, _mapping_of_more("zip", "exclude")],
        }

    def _named(self, name: str, make: Callable[[], Schema]) -> Schema:
        if name not in self.found:
            self.found[name] = make()
        return {"$ref": f"#/$defs/{name}"}


def _name_of(shape: Shape) -> str:
    if shape is keys.RANGE or shape is keys.MOUNT:
        return "Range" if shape is keys.RANGE else "Mount"
    name: str = shape.made.__name__
    return name


def _or_nothing(one: Schema) -> Schema:
    """A key without a value is as good as no key."""
    if "type" in one and isinstance(one["type"], str):
        return {**one, "type": [one["type"], "null"]}
    return {"anyOf": [one, {"type": "null"}]}


def _mapping(values: Schema, names: str = "") -> Schema:
    made: Schema = {"type": "object", "additionalProperties": values}
    return {**made, "propertyNames": {"pattern": names}} if names else made


def _mapping_of_more(*known: str) -> Schema:
    """At least one name beside these."""
    return {"not": {"propertyNames": {"enum": list(known)}}}
