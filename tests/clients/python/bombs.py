"""Files that somebody sends who means harm, or does not know better."""

import io
import struct
import zlib

# What each of them unpacks to: more than any reader may take.
SIZE = 2 << 30
PIECE = b" " * (1 << 20)
# What stands around a text in a document of a word processor, and around the text of a cell.
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
KIND = "application/vnd.openxmlformats-officedocument"


def deflated(before=b"", after=b""):
    """`SIZE` spaces between two texts as a raw stream of deflate, with the CRC-32 and the Adler-32 of all. Each mebibyte of it is packed alike."""
    crc, adler, pieces = zlib.crc32(before), zlib.adler32(before), []
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces.append(packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH))
    packed = packer.compress(PIECE) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(SIZE // len(PIECE)):
        crc, adler = zlib.crc32(PIECE, crc), zlib.adler32(PIECE, adler)
    pieces.append(packed * (SIZE // len(PIECE)))
    pieces.append(packer.compress(after) + packer.flush())
    return b"".join(pieces), zlib.crc32(after, crc), zlib.adler32(after, adler)


def pdf(objects, trailer=""):
    """Objects, by their numbers from 1, as a file. Each is its text, or what its dictionary has beside the length, and its stream."""
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        if isinstance(content, tuple):
            entries, stream = content
            content = f"<< {entries} /Length {len(stream)} >>\nstream\n".encode() + stream + b"\nendstream"
        else:
            content = content.encode()
        out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def page(entries, stream):
    """The objects of a file of one page, whose content is this stream."""
    return [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        (entries, stream),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]


def pdf_bomb():
    packed, _, adler = deflated()
    return pdf(page("/Filter /FlateDecode", b"\x78\xda" + packed + struct.pack(">I", adler)))


def pdf_with_password():
    """A page under a key that the empty password does not lead to."""
    key = "5a" * 32
    encryption = f"<< /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <{key}> /U <{key}> >>"
    objects = [*page("", b"BT /F1 12 Tf (x) Tj ET"), encryption]
    return pdf(objects, f"/Encrypt {len(objects)} 0 R /ID [<{'01' * 16}> <{'01' * 16}>]")


def docx_bomb():
    document = f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>|</w:t></w:r></w:p></w:body></w:document>'
    main = {"word/document.xml": (document, f"{KIND}.wordprocessingml.document.main+xml", "officeDocument")}
    return package(main)


def xlsx_bomb():
    workbook = f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>'
    sheet = f'<worksheet xmlns="{SHEET}"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>|</t></is></c></row></sheetData></worksheet>'
    parts = {"xl/workbook.xml": (workbook, f"{KIND}.spreadsheetml.sheet.main+xml", "officeDocument")}
    relation = f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    relations = f'<Relationships xmlns="{PACKAGE}/relationships">{relation}</Relationships>'
    others = {
        "xl/_rels/workbook.xml.rels": (relations, None, None),
        "xl/worksheets/sheet1.xml": (sheet, f"{KIND}.spreadsheetml.worksheet+xml", None),
    }
    return package(parts | others)


def package(parts):
    """A package of parts: name, text, type and the relation that leads to it. `|` in a text stands for `SIZE` spaces."""
    types = "".join(f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, (_, kind, _) in parts.items() if kind)
    default = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    roots = "".join(
        f'<Relationship Id="r{number}" Type="{OFFICE}/{relation}" Target="{name}"/>'
        for number, (name, (_, _, relation)) in enumerate(parts.items(), 1)
        if relation
    )
    texts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">{default}<Default Extension="xml" ContentType="application/xml"/>{types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{roots}</Relationships>',
        **{name: text for name, (text, _, _) in parts.items()},
    }
    return archive({name: f'<?xml version="1.0" encoding="UTF-8"?>{text}' for name, text in texts.items()})


def archive(texts):
    """Files in a ZIP archive, written by hand: Python's own would pack each byte of a bomb."""
    out, directory = io.BytesIO(), bytearray()
    for name, text in texts.items():
        before, bomb, after = text.encode().partition(b"|")
        if bomb:
            packed, crc, _ = deflated(before, after)
            size = len(before) + SIZE + len(after)
        else:
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            packed, crc, size = packer.compress(before) + packer.flush(), zlib.crc32(before), len(before)
        about = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, crc, len(packed), size, len(name), 0)
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + about + struct.pack("<HHHII", 0, 0, 0, 0, out.tell()) + name.encode()
        out.write(b"PK\x03\x04" + about + name.encode() + packed)
    start = out.tell()
    out.write(directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, len(texts), len(texts), len(directory), start, 0))
    return out.getvalue()
