"""TSM files, written and read by other code than ours: plain Python, a bit and a number at a time, from the description of the format.

    tsm_oracle.py golden [FILE]   write the block vectors of test/golden/tsm/blocks.txt
    tsm_oracle.py dump FILE.tsm   keys, blocks and points of a file, everything checked

As a module: encode_block, decode_block, write_file, read_file. Types are "f64", "i64", "bool", "string", "u64"; floats are Python floats,
strings are bytes. Strings are written as snappy literals, which is valid but not what a compressor writes.
"""
import os
import random
import struct
import sys
import zlib

TYPES = ["f64", "i64", "bool", "string", "u64"]
COUNTS = [240, 120, 60, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1]
WIDTHS = [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 60]
END_MARK = 0x7FF8000000000001
M64 = (1 << 64) - 1


class Bad(Exception):
    pass


def need(condition, words):
    if not condition:
        raise Bad(words)


def u64(value):
    return struct.pack(">Q", value & M64)


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def uvarint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_uvarint(data, at):
    value = shift = 0
    while True:
        need(at < len(data) and shift < 70, "a number does not end")
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


# --- words ---------------------------------------------------------------------------------------------------------------------


def words_encode(values):
    out = b""
    while values:
        for selector in range(16):
            count, width = COUNTS[selector], WIDTHS[selector]
            head = values[:count]
            if len(head) == count and all(v == 1 if width == 0 else v >> width == 0 for v in head):
                break
        else:
            raise Bad("a value of more than 60 bits")
        out += u64(selector << 60 | sum(v << (i * width) for i, v in enumerate(head) if width))
        values = values[count:]
    return out


def words_decode(data):
    need(len(data) % 8 == 0, "not whole words")
    out = []
    for (word,) in struct.iter_unpack(">Q", data):
        count, width = COUNTS[word >> 60], WIDTHS[word >> 60]
        out += [word >> (i * width) & ((1 << width) - 1) if width else 1 for i in range(count)]
    return out


# --- times ---------------------------------------------------------------------------------------------------------------------


def scale_of(steps):
    return max(k for k in range(13) if all(s % 10 ** k == 0 for s in steps))


def times_encode(times):
    steps = [b - a & M64 for a, b in zip(times, times[1:])]
    if steps and len(set(steps)) == 1:
        scale = scale_of(steps)
        return bytes([0x20 | scale]) + u64(times[0]) + uvarint(steps[0] // 10 ** scale) + uvarint(len(times))
    if steps and max(steps) >> 60:
        return b"\x00" + u64(times[0]) + b"".join(u64(s) for s in steps)
    scale = scale_of(steps)
    return bytes([0x10 | scale]) + u64(times[0]) + words_encode([s // 10 ** scale for s in steps])


def times_decode(data):
    need(len(data) >= 9, "a time part of %d bytes" % len(data))
    scheme, scale = data[0] >> 4, 10 ** (data[0] & 15)
    first = signed(struct.unpack(">Q", data[1:9])[0])
    if scheme == 2:
        step, at = read_uvarint(data, 9)
        count, at = read_uvarint(data, at)
        need(at == len(data), "bytes behind the times")
        steps = [step * scale] * (count - 1)
    elif scheme == 1:
        steps = [s * scale for s in words_decode(data[9:])]
    else:
        need(scheme == 0 and len(data) % 8 == 1, "time encoding %d" % scheme)
        steps = [s for (s,) in struct.iter_unpack(">Q", data[9:])]
    times = [first]
    for step in steps:
        need(step > 0, "times do not ascend")
        times.append(times[-1] + step)
    need(times[-1] < 1 << 63, "a time past the end")
    return times


# --- values --------------------------------------------------------------------------------------------------------------------


def zigzag(value):
    value = signed(value & M64)
    return (value << 1 ^ value >> 63) & M64


def unzigzag(value):
    return value >> 1 ^ -(value & 1)


def ints_encode(values):
    z = [zigzag(b - a) for a, b in zip([0] + values, values)]
    if len(z) > 2 and len(set(z[1:])) == 1:
        return b"\x20" + u64(z[0]) + uvarint(z[1]) + uvarint(len(z) - 1)
    if any(v >> 60 for v in z[1:]):
        return b"\x00" + b"".join(u64(v) for v in z)
    return b"\x10" + u64(z[0]) + words_encode(z[1:])


def ints_decode(data, is_signed):
    need(len(data) >= 9 and data[0] in (0, 0x10, 0x20), "integer encoding")
    z = [struct.unpack(">Q", data[1:9])[0]]
    if data[0] == 0x20:
        step, at = read_uvarint(data, 9)
        count, at = read_uvarint(data, at)
        need(at == len(data), "bytes behind the integers")
        z += [step] * count
    elif data[0] == 0x10:
        z += words_decode(data[9:])
    else:
        z += [v for (v,) in struct.iter_unpack(">Q", data[9:])]
    out, value = [], 0
    for v in z:
        value = value + unzigzag(v) & M64
        out.append(signed(value) if is_signed else value)
    return out


def float_bits(value):
    return struct.unpack(">Q", struct.pack(">d", value))[0]


def floats_encode(values):
    bits = [float_bits(v) for v in values]
    need(all(b >> 52 & 0x7FF != 0x7FF for b in bits), "a float that is not finite")
    out = format(bits[0], "064b")
    window = None
    for before, value in zip(bits, bits[1:] + [END_MARK]):
        x = before ^ value
        if x == 0:
            out += "0"
            continue
        leading, trailing = (64 - x.bit_length()) % 32, (x & -x).bit_length() - 1
        if window and leading >= window[0] and trailing >= window[1]:
            out += "10"
        else:
            window = leading, trailing
            out += "11" + format(leading, "05b") + format((64 - leading - trailing) % 64, "06b")
        out += format(x >> window[1], "0%db" % (64 - window[0] - window[1]))
    out += "0" * (-len(out) % 8)
    return b"\x10" + bytes(int(out[i:i + 8], 2) for i in range(0, len(out), 8))


def floats_decode(data):
    need(len(data) > 9 and data[0] == 0x10, "float encoding")
    text = "".join(format(b, "08b") for b in data[1:])
    at = 0

    def take(count):
        nonlocal at
        need(at + count <= len(text), "the floats end early")
        at += count
        return int(text[at - count:at], 2)

    value, count, trailing, out = take(64), 64, 0, []
    while value != END_MARK:
        out.append(struct.unpack(">d", u64(value))[0])
        if take(1):
            if take(1):
                leading = take(5)
                count = take(6) or 64
                trailing = 64 - leading - count
                need(trailing >= 0, "a window wider than a value")
            value ^= take(count) << trailing
    need(len(text) - at < 8, "bytes behind the floats")
    return out


def bools_encode(values):
    text = "".join("1" if v else "0" for v in values)
    text += "0" * (-len(text) % 8)
    return b"\x10" + uvarint(len(values)) + bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8))


def bools_decode(data):
    need(data[:1] == b"\x10", "boolean encoding")
    count, at = read_uvarint(data, 1)
    need(len(data) - at == (count + 7) // 8, "booleans of another length")
    text = "".join(format(b, "08b") for b in data[at:])
    return [c == "1" for c in text[:count]]


def snappy_decode(data):
    size, at = read_uvarint(data, 0)
    out = bytearray()
    while at < len(data):
        tag, kind = data[at], data[at] & 3
        at += 1
        if kind == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(data[at:at + extra], "little")
                at += extra
            out += data[at:at + length + 1]
            at += length + 1
            continue
        extra = {1: 1, 2: 2, 3: 4}[kind]
        offset = int.from_bytes(data[at:at + extra], "little")
        at += extra
        length = (tag >> 2) + 1
        if kind == 1:
            offset, length = offset | tag >> 5 << 8, (tag >> 2 & 7) + 4
        need(0 < offset <= len(out), "snappy: a copy from before the start")
        for _ in range(length):
            out.append(out[-offset])
    need(len(out) == size and at == len(data), "snappy: another size")
    return bytes(out)


def strings_encode(values):
    plain = b"".join(uvarint(len(v)) + v for v in values)
    out = uvarint(len(plain))
    for i in range(0, len(plain), 60):
        piece = plain[i:i + 60]
        out += bytes([len(piece) - 1 << 2]) + piece
    return b"\x10" + out


def strings_decode(data):
    need(data[:1] == b"\x10", "string encoding")
    plain, at, out = snappy_decode(data[1:]), 0, []
    while at < len(plain):
        length, at = read_uvarint(plain, at)
        need(at + length <= len(plain), "a string past the end")
        out.append(plain[at:at + length])
        at += length
    return out


ENCODERS = {"f64": floats_encode, "i64": ints_encode, "bool": bools_encode, "string": strings_encode, "u64": ints_encode}
DECODERS = {"f64": floats_decode, "i64": lambda d: ints_decode(d, True), "bool": bools_decode, "string": strings_decode,
            "u64": lambda d: ints_decode(d, False)}


# --- blocks and files ----------------------------------------------------------------------------------------------------------


def encode_block(kind, times, values):
    part = times_encode(times)
    return bytes([TYPES.index(kind)]) + uvarint(len(part)) + part + ENCODERS[kind](values)


def decode_block(block):
    need(len(block) > 1 and block[0] < len(TYPES), "block type")
    length, at = read_uvarint(block, 1)
    times = times_decode(block[at:at + length])
    values = DECODERS[TYPES[block[0]]](block[at + length:])
    need(len(times) == len(values), "%d times and %d values" % (len(times), len(values)))
    return TYPES[block[0]], times, values


def write_file(series, points_a_block=1000):
    """The bytes of a file of {key bytes: (type, times, values)}."""
    out = bytearray(b"\x16\xd1\x16\xd1\x01")
    index = b""
    for key in sorted(series):
        kind, times, values = series[key]
        entries = b""
        for i in range(0, len(times), points_a_block):
            t = times[i:i + points_a_block]
            block = encode_block(kind, t, values[i:i + points_a_block])
            entries += struct.pack(">qqQI", t[0], t[-1], len(out), len(block) + 4)
            out += struct.pack(">I", zlib.crc32(block)) + block
        index += struct.pack(">H", len(key)) + key + struct.pack(">BH", TYPES.index(kind), len(entries) // 28) + entries
    place = len(out)
    return bytes(out) + index + u64(place)


def read_file(data):
    """{key bytes: (type, times, values)} of a file, with everything in it checked."""
    need(data[:5] == b"\x16\xd1\x16\xd1\x01" and len(data) > 13, "not a TSM file")
    at = struct.unpack(">Q", data[-8:])[0]
    need(5 < at < len(data) - 8, "the index is outside of the file")
    out, before, end = {}, b"", len(data) - 8
    while at < end:
        key_len = struct.unpack_from(">H", data, at)[0]
        key = data[at + 2:at + 2 + key_len]
        at += 2 + key_len
        need(key > before, "keys out of order")
        code, blocks = struct.unpack_from(">BH", data, at)
        at += 3
        need(blocks > 0, "a key without blocks")
        times, values = [], []
        for _ in range(blocks):
            first, last, offset, size = struct.unpack_from(">qqQI", data, at)
            at += 28
            block = data[offset + 4:offset + size]
            need(zlib.crc32(block) == struct.unpack_from(">I", data, offset)[0], "checksum of a block")
            kind, t, v = decode_block(block)
            need(kind == TYPES[code] and (t[0], t[-1]) == (first, last), "the index is not of its block")
            need(not times or times[-1] < t[0], "blocks overlap")
            times += t
            values += v
        out[bytes(key)] = TYPES[code], times, values
        before = key
    need(at == end, "the index does not end at the footer")
    return out


# --- vectors -------------------------------------------------------------------------------------------------------------------


def cases():
    rnd = random.Random(1)
    second, start = 10 ** 9, 1700000000 * 10 ** 9
    regular = [start + i * second for i in range(400)]
    yield "one point", "f64", [start], [21.5]
    yield "regular times, same floats", "f64", regular, [1.5] * 400
    yield "regular times, noisy floats", "f64", regular[:150], [20 + rnd.random() for _ in range(150)]
    yield "decimals", "f64", regular[:150], [rnd.randrange(1000) / 100 for _ in range(150)]
    yield "signs and zeros", "f64", regular[:9], [0.0, -0.0, -0.0, 0.0, -1.0, 1.0, 5e-324, -5e-324, 2.0 ** -1022]
    yield "largest floats", "f64", regular[:5], [1.7976931348623157e308, -1.7976931348623157e308, 1.0, 5e-324, 3.0]
    yield "leading zeros of 32 and more", "f64", regular[:6], [1.0, 1.0 + 2.0 ** -52, 1.0 + 2.0 ** -30, 1.0 + 2.0 ** -21, 1.0, 1.5]
    yield "two points", "i64", [-5, 7], [-1, 1]
    yield "regular integers", "i64", regular[:100], [7 + 3 * i for i in range(100)]
    yield "falling by one", "u64", regular[:400], [1000 - i for i in range(400)]
    yield "zigzag of ones", "i64", regular[:400], [-i + (i > 200) for i in range(400)]
    yield "times with gaps", "i64", [start + (i + i // 97) * 60 * second for i in range(250)], [rnd.randrange(100) for _ in range(250)]
    yield "jitter in milliseconds", "i64", [start + i * second + rnd.randrange(900) * 10 ** 6 for i in range(300)], list(range(300))
    yield "jitter in nanoseconds", "u64", [start + i * second + rnd.randrange(9 * 10 ** 8) for i in range(100)], \
        [rnd.getrandbits(64) for _ in range(100)]
    yield "steps of 1 nanosecond in runs", "i64", [i + i // 250 for i in range(999)], [i // 333 for i in range(999)]
    yield "step 2^60 - 1", "i64", [0, 1, 2 ** 60], [0, 1, 2 ** 59]
    yield "step 2^60", "i64", [0, 1, 2 ** 60 + 1], [0, 0, -2 ** 59]
    yield "integer step too wide by one", "i64", [1, 2, 4], [0, 0, 2 ** 59]
    yield "all of time", "i64", [-2 ** 63, 2 ** 63 - 1], [-2 ** 63, 2 ** 63 - 1]
    yield "all of time, three points", "u64", [-2 ** 63, 0, 2 ** 63 - 1], [0, 2 ** 64 - 1, 1]
    for scale in range(15):
        yield "scale 10^%d" % scale, "bool", [0] + [(k * 10 ** scale) for k in (1, 3, 4, 17)], [True, False, True, True, False]
    yield "booleans", "bool", regular[:203], [rnd.random() < 0.5 for _ in range(203)]
    yield "one boolean", "bool", [-1], [True]
    yield "words of every width", "u64", list(range(480)), \
        [sum(1 << (i // 8 % 59) if i % 2 else 0 for i in range(k)) for k in range(480)]
    yield "strings", "string", regular[:40], [bytes(rnd.choice(b"abc") for _ in range(rnd.randrange(12))) for _ in range(40)]
    yield "one empty string", "string", [5], [b""]
    yield "long strings", "string", [5, 6, 7], [b"x" * 127, b"y" * 128, bytes(range(256)) * 3]


def number(kind, value):
    if kind == "f64":
        return "%x" % float_bits(value)
    if kind == "bool":
        return "1" if value else "0"
    if kind == "string":
        return value.hex() or "-"
    return "%x" % (value & M64)


def golden():
    for name, kind, times, values in cases():
        block = encode_block(kind, times, values)
        need(decode_block(block) == (kind, times, values), name)
        yield "case %s\ntype %s\n" % (name, kind)
        yield "times %s\n" % " ".join("%d" % t for t in times)
        yield "values %s\nblock %s\n\n" % (" ".join(number(kind, v) for v in values), block.hex())


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.argv[1:2] == ["golden"]:
        path = sys.argv[2] if len(sys.argv) > 2 else os.path.join(here, "..", "golden", "tsm", "blocks.txt")
        with open(path, "w") as out:
            out.writelines(golden())
    elif sys.argv[1:2] == ["dump"] and len(sys.argv) == 3:
        with open(sys.argv[2], "rb") as file:
            series = read_file(file.read())
        for key, (kind, times, values) in series.items():
            print(key.decode("utf-8", "backslashreplace"), kind, len(times), times[0], times[-1], values[0], values[-1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
