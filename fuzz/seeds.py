#!/usr/bin/env python3
"""Makes the seed corpora in fuzz/seeds from the golden files and vectors of protocol/tests: `python3 fuzz/seeds.py`.

In: protocol/tests/golden, protocol/tests/vectors. Out: one small file a seed, named by what it holds. Run it after frames change.
"""

import json
import pathlib
import re
import shutil

FUZZ = pathlib.Path(__file__).resolve().parent
TESTS = FUZZ.parent / "protocol" / "tests"
SEEDS = FUZZ / "seeds"


def seed(target, name, data):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def short(data):
    """A message for `session`: opcode class, length, bytes."""
    return bytes([0, len(data)]) + data


def frames():
    talk = {"msgpack": b"", "json": b""}
    for path in sorted(TESTS.glob("golden/*/*.json")):
        golden = json.loads(path.read_text())
        for number, case in enumerate(golden["cases"][:1]):
            name = f"{golden['direction']}-{golden['t']}-{number}"
            # Hub and client share most of their fields: what clients say is enough of a start.
            if golden["direction"] == "server" and len(case["msgpack"]) > 300:
                continue
            binary = bytes.fromhex(case["msgpack"])
            text = json.dumps(case["json"], separators=(",", ":")).encode()
            seed("frame_msgpack", name, binary)
            seed("frame_json", name, text)
            if golden["direction"] == "client" and golden["t"] != "hello":
                for encoding, data in (("msgpack", binary), ("json", text)):
                    if len(data) < 256:
                        who = 0x80 if encoding == "json" else 0
                        # As each role: `who` modulo six.
                        role = {"member": 0, "gateway": 4}["gateway" if int(golden["kind"]) in range(10, 24) else "member"]
                        start = (who + role) if encoding == "msgpack" else next(w for w in range(0x80, 0x100) if w % 6 == role)
                        if encoding == "msgpack":
                            seed("session", golden["t"], bytes([start, 0]) + short(data))
                        talk[encoding] += short(data)
    seed("session", "all-msgpack", bytes([4, 0]) + talk["msgpack"])
    seed("session", "all-json", bytes([next(w for w in range(0x80, 0x100) if w % 6 == 4), 0]) + talk["json"])
    seed("session", "ping-and-pieces", bytes([2, 0, 0xE9, 2]) + b"hi" + bytes([0xF2, 1]) + b"\x92" + bytes([0xE0, 2]) + b"\x03\x01")


def characteristics():
    source = (TESTS.parent / "src" / "ftms" / "mod.rs").read_text()
    return [int(number, 16) for number in re.findall(r"^    (0x2[A-Fa-f0-9]{3}) ", source, re.M)]


def ftms():
    order, many = characteristics(), {}
    vectors = json.loads((TESTS / "vectors" / "ftms.json").read_text())
    for vector in vectors:
        texts = vector.get("hex") or vector.get("hexes") or ""
        texts = [texts] if isinstance(texts, str) else texts
        uuid = int(vector["characteristic"], 16) if "characteristic" in vector else order[0]
        at = order.index(uuid) if uuid in order else 0
        values = [bytes.fromhex(text) for text in texts if text]
        if not values:
            continue
        many[at] = many.get(at, 0) + 1
        if many[at] > 3:
            continue
        name = "".join(c if c.isalnum() else "-" for c in vector["id"])[:60]
        seed("ftms", name, bytes([at, 0, 27]) + values[0])
    records = b"".join(bytes([n % len(order), 8]) + bytes(range(n, n + 8)) for n in range(20))
    seed("ftms", "stream", bytes([0, 1, 7]) + records)


def msgpack():
    for number, group in enumerate(json.loads((TESTS / "vectors" / "msgpack.json").read_text())):
        data = bytes.fromhex(group["msgpack"][-1].replace("-", ""))
        if number % 4 == 0 and len(data) <= 80:
            seed("frame_msgpack", f"value-{number}", data)


def others():
    frame = lambda first, payload: bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload
    seed("ws_read", "text", frame(0x81, b"hello"))
    seed("ws_read", "binary-and-ping", frame(0x82, b"\x00\x01") + frame(0x89, b"?"))
    seed("ws_read", "pieces", frame(0x01, b"he") + frame(0x00, b"l") + frame(0x8A, b"") + frame(0x80, b"lo"))
    seed("ws_read", "close", frame(0x88, b"\x03\xe8bye"))
    seed("ws_read", "long", bytes([0x82, 0xFE, 0, 200, 0, 0, 0, 0]) + bytes(200))
    seed("ws_read", "huge", bytes([0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
    seed("ws_write", "all", bytes([0, 2, 1, 2, 1, 1, 65, 2, 0, 3, 1, 9, 0x10, 0, 0x20, 0, 0x31, 0, 0x40, 0, 0x50, 0]))
    claims = {"sub": "01990000-0000-7000-8000-00000000000a", "exp": 1764003600, "iat": 1764000000, "tenant": "01990000-0000-7000-8000-00000000000b"}
    claims |= {"roles": ["member"], "gyms": [], "teams": [], "jti": "1"}
    seed("token", "claims", b"\x01" + json.dumps(claims).encode())
    seed("token", "nested", b"\x01" + json.dumps(claims | {"roles": "coach", "teams": [claims["sub"]], "nbf": 1.5e9, "exp": "soon"}).encode())
    seed("token", "jwt", b"\x00eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl")
    seed("token", "none", b"\x00eyJhbGciOiJub25lIn0.eyJpc3MiOiJmdXp6In0.")
    seed("ticket", "text", b"AAAAAAAA-_")
    seed("ticket", "change", bytes([0, 65, 33, 66, 70, 45]))
    for name, data in {
        "forwarded": b"\x00203.0.113.9, 10.0.0.2\n[2001:db8::1]:443, unknown",
        "origin": b"\x01https://app.example",
        "origin-own": b"\x01HTTP://hub.example\nnull",
        "proxy-1": b"\x02PROXY TCP4 203.0.113.9 10.0.0.1 5544 8080\r\nGET /",
        "proxy-2": b"\x02\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x0a\x00\x00\x01\x15\xa8\x1f\x90GET",
        "subprotocol": b"\x03mqtt, spotter.v1.json\nspotter.v1.msgpack",
    }.items():
        seed("address", name, data)
    tcx = b"""\x00<TrainingCenterDatabase><Activities><Activity Sport="Biking"><Id>2026-01-01T10:00:00Z</Id><Lap StartTime="2026-01-01T10:00:00Z"><Track>
<Trackpoint><Time>2026-01-01T10:00:01Z</Time><DistanceMeters>7.5</DistanceMeters><HeartRateBpm><Value>120</Value></HeartRateBpm><Cadence>80</Cadence></Trackpoint>
</Track></Lap></Activity></Activities></TrainingCenterDatabase>"""
    seed("activity", "tcx", tcx)
    # file_id (activity), then two records: definition with timestamp, heart rate, power, distance; values.
    define = lambda local, number, fields: bytes([0x40 | local, 0, 0, number & 255, number >> 8, len(fields)]) + b"".join(bytes(field) for field in fields)
    fit = define(0, 0, [(0, 1, 0), (4, 4, 0x86)]) + bytes([0, 4]) + (1136214000).to_bytes(4, "little")
    fit += define(1, 20, [(253, 4, 0x86), (3, 1, 2), (7, 2, 0x84), (5, 4, 0x86)])
    for second in range(3):
        fit += bytes([1]) + (1136214000 + second).to_bytes(4, "little") + bytes([120 + second]) + (200).to_bytes(2, "little") + (750 * second).to_bytes(4, "little")
    seed("activity", "fit", b"\x01" + fit)
    # A bike: rows of nine bytes (step, times, fields, value, its shift, intervals, how many, fingerprint).
    seed("packed", "a-bike", b"\x02" + b"".join(bytes([0, second % 7, 9, 0b1010, 200 + second % 9, 0, 90, second % 3, 0]) for second in range(60)))
    seed("packed", "an-empty-chunk", bytes([0, 1, 0] + [0] * 24))
    seed("packed", "minutes", bytes([1, 1, 0] + [0] * 24))
    # Claim by code, second sign, read, stop, answer, restart.
    seed("room", "a-workout", bytes([21, 0, 0, 0, 12, 0, 50, 8, 0, 9, 0, 2, 22, 0, 200, 4, 0]))
    seed("room", "hand-over", bytes([0, 0, 0, 0x84, 22, 1, 9, 16, 0, 14, 0, 0, 24, 0, 14, 0, 0]))
    seed("room", "everything", bytes(value for number in range(25) for value in (number, number * 7 % 256, 3, 1)))


if __name__ == "__main__":
    shutil.rmtree(SEEDS, ignore_errors=True)
    frames()
    ftms()
    msgpack()
    others()
    files = [path for path in SEEDS.rglob("*") if path.is_file()]
    print(f"{len(files)} seeds, {sum(path.stat().st_size for path in files)} bytes")
