"""Requests as text: each wrong kind of JSON value, names in every spelling, unknown names at each depth, whole bodies, paths."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from samples import PICTURE
from shapes import BASES, Path, Place, at, example, get, method, places, put, without

from vision_emulator.contract.json_reader import is_map


@dataclass(frozen=True, slots=True)
class JsonVariant:
    """A request as text."""

    name: str
    verb: str
    path: str
    body: bytes


_WRONG: Final = (
    *("null", "true", "0", "1", "-1", "1.5", "1e2", "2147483648", "1e400"),
    *('""', '"text"', '"1"', '"1.5"', '"true"', '"NaN"', '"\\ud800"'),
    *("[]", "[null]", "[[]]", "[1]", '["text"]', "[{}]", "{}", '{"x": 1}'),
)
_WRONG_KINDS: Final = ("null", "true", "1", '"text"', "[[]]", '{"x": 1}')
_MARK: Final = "\ue000"  # stands where raw text will be
_UNKNOWN: Final = ('"bogus": 1', '"bogus": {}', '"bogus": null', '"": 1', '"Bogus Ü<>": [1]', '"@type": "x"', '"' + "b" * 200 + '": 1')
_BODIES: Final = (
    "", " ", "\n", "null", "true", "1", '"x"', "[]", "[{}]", "{}", "{ }", "{", "}", "{}}", "{}x", "{},", '{"', '{"requests', '{"requests"',
    '{"requests":', "{'requests': []}", "{requests: []}", '{"requests": [],}', '{"requests": [,]}', '{"requests": []]', '{"requests" []}',
    '{"requests": [] "parent": ""}', '{"parent": NaN}', '{"parent": Infinity}', '{"parent": 01}', '{"parent": +1}', '{"parent": .5}',
    '{"parent": 1.}', '{"parent": 0x1}', '{"parent": 1e}', '{"parent": "\\x"}', '{"parent": "\\u12"}', '{"parent": "a\nb"}',
    '{"parent": "a\tb"}', '{"parent": "', '{"parent": tru}', '{"parent": True}', '{"parent": None}', "/* c */ {}", "// c\n{}", "{} // c",
    "# c\n{}", '{"a": 1 /* c */}', ")]}'\n{}", "\u00a0{}", "<requests/>", "requests=1&parent=2", "\0", "{}\0", "{}\n\n",
)  # fmt: skip
_PARENTS: Final = (
    "projects/p", "projects/p/locations/eu", "projects/p/locations/moon", "projects/-", "projects/p%2Fq", "projects/ü", "projects/a:b",
)  # fmt: skip
_QUERIES: Final = (
    "bogus=1", "parent=projects/q", "requests=1", "alt=json", "$alt=json;enum-encoding=int", "prettyPrint=false",
    "key=k&quotaUser=u&$.xgafv=2",
)  # fmt: skip


def json_variants(rpc: str) -> Iterator[JsonVariant]:
    base = _plain(BASES[rpc])
    verb, path = method(rpc).bindings[0].verb, method(rpc).bindings[0].path

    def variant(name: str, text: str | bytes, path: str = path) -> JsonVariant:
        return JsonVariant(f"JSON: {name}", verb, path, text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))

    for place in places(method(rpc).request.DESCRIPTOR):
        shared = rpc != "BatchAnnotateImages" and "image_context" in place.path[:-1]  # the same type in all: once in full will do
        for name, text in _of_value(place, base, _WRONG_KINDS if shared else _WRONG):
            yield variant(name, text)
        for name, text in _of_key(place, base):
            if not shared or name.endswith(("twice", "in both spellings")):
                yield variant(name, text)
    for name, text in _unknown(rpc, base):
        yield variant(name, text)
    for name, body in _bodies(base):
        yield variant(name, body)
    for name, other in _paths(path):
        yield variant(name, json.dumps(base), other)
        yield variant(f"{name}, a parent in the body too", json.dumps({**base, "parent": "projects/q"}), other)


def _plain(value: Any) -> Any:
    """A request as JSON says it."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _raw(base: Mapping[str, Any], path: Path, text: str) -> str:
    """The request's JSON with raw text in place of a value."""
    return json.dumps(put(base, path, _MARK), ensure_ascii=False).replace(f'"{_MARK}"', text)


def _of_value(place: Place, base: Mapping[str, Any], wrong: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each kind of JSON value in one field, in its list and in its map."""
    spots = [place.path]
    if is_map(place.field):
        spots.append((*place.path, "key"))
    elif place.repeated:
        spots.append((*place.path, 0))
    for path in spots:
        for text in wrong:
            yield f"{at(path)}: {text}", _raw(base, path, text)
    if place.repeated and not is_map(place.field):
        yield f"{at(place.path)}: [null, value]", _raw(base, place.path, f"[null, {json.dumps(_json_example(place, base))}]")
        yield f"{at(place.path)}: a value for its list", _raw(base, place.path, json.dumps(_json_example(place, base)))
    special: Iterable[str] = ()
    if place.field.type == FieldDescriptor.TYPE_ENUM:
        special = _enum_texts(place.field.enum_type)
    elif place.field.type == FieldDescriptor.TYPE_BYTES:
        special = _base64_texts()
    for text in special:
        yield f"{at(place.path)}: {_short(text)}", _raw(base, place.path, text)


def _json_example(place: Place, base: Mapping[str, Any]) -> Any:
    (first, *_) = get(base, place.path, [_plain(example(place.field))])
    return first


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:30]}… ({len(text)})"


def _enum_texts(enum: Any) -> Iterator[str]:
    """A value by name in any case, by number, by its number in a text; and what is none."""
    for number, value in sorted(enum.values_by_number.items()):
        name = value.name
        for form in (name, name.lower(), name.title(), name.replace("_", "-"), f" {name}", str(number), f"{number}.0"):
            yield json.dumps(form)
        yield from (str(number), f"{number}.0", f"{number}.5", f"{number}e0")
    yield from ('"BOGUS"', '"8"', '"99"', '"-1"', "8", "99", "-1", "2147483647", "-2147483649", '"0x1"', '"1 "', '"TYPE"')


def _base64_texts() -> Iterator[str]:
    """Base64 in either alphabet, padded or not, with white space; and what is none."""
    good = base64.b64encode(PICTURE).decode()
    yield from (f'"{good}"', f'"{good.rstrip("=")}"', f'"{good}="', f'"{good[:10]} {good[10:]}"', f'"{good[:10]}\\n{good[10:]}"')
    yield from (f'" {good} "', f'"data:image/png;base64,{good}"', '"data:image/png;base64,"', '"\\u0041AAA"', '"ÄÄÄÄ"', '"<svg>"', '"A*=="')
    for text in (
        "-_-_",
        "+/+/",
        "-_+/",
        "A",
        "AA",
        "AAA",
        "AAAA",
        "AA==",
        "AA=",
        "AA===",
        "=",
        "====",
        "AB==",
        "AAB=",
        "AA==AA==",
        "AAAAA",
    ):
        yield f'"{text}"'


def _of_key(place: Place, base: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A field under each spelling of its name, under two at once, and twice."""
    *above, name = place.path
    assert isinstance(name, str)
    camel, where = place.field.json_name, at(place.path)
    one = example(place.field)
    value = json.dumps(get(base, place.path, _plain([one] if place.repeated and not is_map(place.field) else one)))
    rest = without(base, place.path)
    spellings = dict.fromkeys((name, camel, name.upper(), camel.capitalize(), name.replace("_", "-"), f" {name}", f"{name}_", name[:-1]))
    for key in (*map(json.dumps, spellings), f'"\\u{ord(name[0]):04x}{name[1:]}"'):
        yield f"{where} as {key}", _raw_member(rest, above, f"{key}: {value}")
    yield f"{where} twice", _raw_member(rest, above, f'"{name}": {value}, "{name}": {value}')
    yield f"{where}, then null", _raw_member(rest, above, f'"{name}": {value}, "{name}": null')
    yield f"{where}, after a wrong one", _raw_member(rest, above, f'"{name}": [[]], "{name}": {value}')
    if camel != name:
        yield f"{where} in both spellings", _raw_member(rest, above, f'"{name}": {value}, "{camel}": {value}')


def _raw_member(base: Mapping[str, Any], above: Iterable[str | int], members: str) -> str:
    """The request's JSON with raw members in one of its objects."""
    return json.dumps(put(base, (*above, _MARK), _MARK), ensure_ascii=False).replace(f'"{_MARK}": "{_MARK}"', members)


def _unknown(rpc: str, base: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A name that no message has, at each depth, in each form; two at once; one beside a wrong value."""
    objects: list[Path] = [()]
    objects += [(*place.path, 0) if place.repeated else place.path for place in places(method(rpc).request.DESCRIPTOR) if place.is_message]
    for path in objects:
        where = at(path) or "the top"
        for members in _UNKNOWN:
            yield f"{_short(members)} in {where}", _raw_member(base, path, members)
        yield f"two unknown names in {where}", _raw_member(base, path, '"bogus": 1, "bad": 2')
        yield f"an unknown name in {where} and at the top", _raw_member({**base, "bogus": 1}, path, '"bad": 2')
        yield f"an unknown name in {where}, parent=1", _raw_member({**base, "parent": 1}, path, '"bad": 2')


def _bodies(base: Mapping[str, Any]) -> Iterator[tuple[str, str | bytes]]:
    """Whole bodies: not JSON, not an object, not UTF-8, odd but right, deep."""
    text = json.dumps(base)
    for body in _BODIES:
        yield f"body {body!r}", body
    yield "body cut in the middle", text[: len(text) // 2]
    yield "body cut at its end", text[:-1]
    yield "body twice", text + text
    yield "body indented", json.dumps(base, indent=2)
    yield "body with every character escaped in its keys", text.replace('"requests"', '"\\u0072\\u0065quests"')
    yield "body with white space of every kind", f"\t\r\n {text} \t\r\n"
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        yield f"body in {encoding}", text.encode(encoding)
    for name, raw in {
        "latin-1": b'{"parent": "\xfc"}',
        "a cut sequence": b'{"parent": "\xc3',
        "an overlong sequence": b'{"parent": "\xc0\xaf"}',
    }.items():
        yield f"body of {name}", raw
    for depth in (10, 50, 99, 100, 101, 200, 1000, 10_000):
        yield f"unknown lists {depth} deep", f'{{"bogus": {"[" * depth}{"]" * depth}}}'
        yield f"unknown objects {depth} deep", '{"bogus": ' * depth + "1" + "}" * depth
        yield f"requests {depth} lists deep", f'{{"requests": {"[" * depth}{"]" * depth}}}'
    for count in (10, 999, 1001):
        yield f"{count} unknown names", json.dumps({f"bogus{number}": 1 for number in range(count)})
        yield f"{count} wrong requests", json.dumps({"requests": [1] * count})


def _paths(path: str) -> Iterator[tuple[str, str]]:
    """The URLs that name a parent, in every version, and URLs that name nothing."""
    verb = path.removeprefix("/v1/")
    for parent in _PARENTS:
        yield f"POST /v1/{parent}/{verb}", f"/v1/{parent}/{verb}".replace("ü", "%C3%BC")
    for other in ("projects//", "projects/p/locations//", "project/p/", "projects/p/locations/", "projects/p/q/", "/"):
        yield f"POST /v1/{other}{verb}", f"/v1/{other}{verb}"
    for version in ("v1p1beta1", "v1p2beta1", "v1p3beta1", "v1p4beta1"):
        yield f"POST /{version}/{verb}", f"/{version}/{verb}"
        yield f"POST /{version}/projects/p/locations/us/{verb}", f"/{version}/projects/p/locations/us/{verb}"
    for other in (
        "/v2/" + verb,
        "/v1p5beta1/" + verb,
        f"/v1/{verb}x",
        f"/v1/{verb}/",
        f"/V1/{verb}",
        f"/v1/{verb.upper()}",
        f"/v1/{verb.replace(':', '%3A')}",
    ):
        yield f"POST {other}", other
    for query in _QUERIES:
        yield f"POST ?{query}", f"{path}?{query}"
