"""Documents that tests write, for every layer: PDFs byte by byte, TIFFs and GIFs by Pillow."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

from PIL import Image

from pictures import drawn


def pdf(*pages: bytes, size: tuple[float, float] = (612, 792), extra: str = "") -> bytes:
    """A PDF of these content streams in Helvetica (/F1); ``extra`` goes into every page's dictionary."""
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    box = extra if "/MediaBox" in extra else f"/MediaBox [0 0 {size[0]:g} {size[1]:g}] {extra}"
    for index, content in enumerate(pages):
        resources = f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * index} 0 R"
        objects.append(f"<< /Type /Page /Parent 2 0 R {box} {resources} >>".encode())
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    return assembled(objects)


def assembled(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """The file of these objects, numbered from 1, the first of which is the catalogue."""
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def lines(*texts: str, at: tuple[float, float] = (72, 700), leading: float = 14) -> bytes:
    """A content stream: these lines in 12 pt, the first one's base line at a place in points from the bottom left."""
    shown = " T* ".join(f"({text}) Tj".replace("\\", "\\\\") for text in texts)
    return f"BT /F1 12 Tf {leading:g} TL {at[0]:g} {at[1]:g} Td {shown} ET".encode("cp1252")


def text_pdf(count: int = 3, size: tuple[float, float] = (612, 792), extra: str = "") -> bytes:
    """A born-digital document: page N says "Page N of COUNT." and "Words stand here."."""
    return pdf(*(lines(f"Page {number} of {count}.", "Words stand here.") for number in range(1, count + 1)), size=size, extra=extra)


def scanned_pdf(count: int = 1) -> bytes:
    """A document whose pages are pictures and nothing else."""
    first, *others = (Image.open(io.BytesIO(drawn(number))) for number in range(count))
    buffer = io.BytesIO()
    first.save(buffer, "PDF", save_all=True, append_images=others)
    return buffer.getvalue()


def frames(image_format: str, count: int = 3, size: tuple[int, int] = (160, 120)) -> bytes:
    """A TIFF or animated GIF of this many pictures."""
    first, *others = (Image.open(io.BytesIO(drawn(number, size))).convert("RGB") for number in range(count))
    buffer = io.BytesIO()
    first.save(buffer, image_format, save_all=True, append_images=others)
    return buffer.getvalue()


def locked_pdf(user_password: bytes) -> bytes:
    """A document encrypted as PDF 1.1 has it (RC4, 40 bits) that says "Locked words."; an empty password opens it without asking."""
    padding = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
    identity, permissions = b"0123456789abcdef", (-4).to_bytes(4, "little", signed=True)
    owner = _rc4(hashlib.md5((b"owner" + padding)[:32], usedforsecurity=False).digest()[:5], (user_password + padding)[:32])
    seed = (user_password + padding)[:32] + owner + permissions + identity
    key = hashlib.md5(seed, usedforsecurity=False).digest()[:5]
    user = _rc4(key, padding)
    salted = hashlib.md5(key + (5).to_bytes(3, "little") + bytes(2), usedforsecurity=False).digest()[:10]  # for object 5
    content = _rc4(salted, lines("Locked words."))
    plain = pdf(content)
    body = plain[len(b"%PDF-1.7\n") : plain.index(b"xref\n0")]
    objects = [part.partition(b" 0 obj\n")[2] for part in body.split(b"\nendobj\n") if part]
    guard = b"<< /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P -4 >>" % (owner.hex().encode(), user.hex().encode())
    mark = identity.hex().encode()
    return assembled(objects, b"/Encrypt %s /ID [<%s> <%s>]" % (guard, mark, mark))


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
