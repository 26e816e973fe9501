"""Damage files: bytes, trees of JSON, headers of arrays. Everything is drawn from a generator that is passed in."""

import copy
import io
import json
import struct
import zipfile
from random import Random

LENGTHS = (0, 1, 2, 7, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**48, 2**63 - 1, 2**64 - 1)

#: What stands in a tree where something else should.
VALUES = (
    *(None, True, False, -1, 0, 1, 0.5, 3, 20_000, 2**31, 2**32 - 1, 2**63, 10**400, 1e308, float("nan"), float("inf")),
    *("", "x", "a\x1b[31m\rb", "\u202e", "same", "relu", "Dense", "Lambda", "keras.layers", "os", "../../x", "1e9"),
    *([], {}, [[]], [None], [1, 2, 3], [2**31, 2**31], {"class_name": "Dense"}, {"class_name": "Lambda", "config": {}}),
    {"class_name": "StringLookup", "module": "keras.layers", "config": {"vocabulary": "/etc/hostname"}},
    {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"},
)


def mutated(content: bytes, random: Random) -> bytes:
    """Return bytes with up to four kinds of damage."""
    for _ in range(random.randint(1, 4)):
        if not content:
            return content
        content = random.choice(_DAMAGE)(bytearray(content), random)
    return content


def _flip(content, random):
    for _ in range(random.randint(1, 8)):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return bytes(content)


def _truncate(content, random):
    return bytes(content[: random.randrange(len(content) + 1)])


def _splice(content, random):
    start, at = random.randrange(len(content)), random.randrange(len(content))
    piece = content[start : start + random.randint(1, 64)]
    return bytes(content[:at] + piece + content[at + random.choice((0, len(piece))) :])


def _cut(content, random):
    at = random.randrange(len(content))
    return bytes(content[:at] + content[at + random.randint(1, 64) :])


def _length(content, random):
    """Write an extreme length over something that may be one, in either order of bytes."""
    code = random.choice("<>") + random.choice("HIQ")
    size = struct.calcsize(code)
    if len(content) < size:
        return bytes(content)
    # Headers are at the beginning, directories at the end.
    near = random.choice((len(content) - size, min(len(content) - size, 200)))
    at = random.randint(0, near)
    content[at : at + size] = struct.pack(code, random.choice(LENGTHS) % 2 ** (8 * size))
    return bytes(content)


_DAMAGE = (_flip, _truncate, _splice, _cut, _length)


def mutated_tree(tree, random: Random):
    """Return a tree of JSON with up to three of its places changed."""
    tree = copy.deepcopy(tree)
    for _ in range(random.randint(1, 3)):
        places = list(_places(tree))
        if not places:
            return random.choice(VALUES)
        parent, key = random.choice(places)
        kind = random.randrange(5)
        if kind == 0:
            del parent[key]
        elif kind == 1:
            other, other_key = random.choice(places)
            parent[key] = copy.deepcopy(other[other_key])
        elif kind == 2 and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        elif kind == 3:
            parent[key] = _nested(parent[key], random.choice((3, 150, 400)))
        else:
            parent[key] = copy.deepcopy(random.choice(VALUES))
    return tree


def _places(tree):
    pending = [tree]
    while pending:
        part = pending.pop()
        keys = part.keys() if isinstance(part, dict) else range(len(part))
        for key in list(keys):
            yield part, key
            if isinstance(part[key], list | dict):
                pending.append(part[key])


def _nested(value, depth):
    for _ in range(depth):
        value = [value]
    return value


def mutated_json(content: bytes, random: Random) -> bytes:
    """Return a JSON text that is damaged as a tree or as bytes."""
    if random.random() < 0.2:
        return mutated(content, random)
    return json.dumps(mutated_tree(json.loads(content), random)).encode()


def mutated_npy(content: bytes, random: Random) -> bytes:
    """Return an .npy with another header, or with damaged bytes."""
    if random.random() < 0.4:
        return mutated(content, random)
    types = ("<f8", ">f4", "|u1", "|b1", "<c16", "|O", "|S0", "<U2147483647", "|V8", "<M8[s]", "<f2", "x", "")
    shapes = ("()", "(0,)", "(4, 6)", "(-1, 6)", "(True, 6)", "(2**40,)", f"({2**62}, {2**62})", f"({2**40}, 0)", "x")
    order = random.choice(("True", "False", "0", "None"))
    header = f"{{'descr': {random.choice(types)!r}, 'fortran_order': {order}, 'shape': {random.choice(shapes)}, }}"
    code = random.choice(("<H", "<I"))
    version = b"\x01\0" if code == "<H" else b"\x02\0"
    return b"\x93NUMPY" + version + struct.pack(code, len(header) + 1) + header.encode() + b"\n" + content[-192:]


def mutated_zip(content: bytes, random: Random, of_member) -> bytes:
    """Return a zip file with a member changed, moved or doubled, or with damaged bytes."""
    if random.random() < 0.3:
        return mutated(content, random)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at = random.randrange(len(members))
    name, member = members[at]
    members[at] = (name, of_member(name, member, random))
    if random.random() < 0.2:
        members.insert(at, random.choice([(name, member), ("../x", b"x"), ("x\x1b\n", b""), ("assets/x", b"x")]))
    buffer = io.BytesIO()
    method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, member in members:
            archive.writestr(name, member)
    return buffer.getvalue()
