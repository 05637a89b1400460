//! Bytes to text.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How many bytes are looked at for what no text has.
const SAMPLE_BYTES: usize = 64 << 10;

/// The text that bytes are in whichever encoding they seem to be; `None` when they are no text. Lines end with `\n` in what is returned,
/// and there is no byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Option<String> {
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None => guess(bytes)?,
    };
    let (text, _, _) = encoding.decode(bytes);
    // What decodes to control characters was no text, whatever its bytes looked like.
    let controls = text
        .chars()
        .take(SAMPLE_BYTES)
        .filter(|character| is_foreign(*character))
        .count();
    (controls == 0).then(|| unified_lines(&text))
}

fn guess(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    // First, as UTF-16 of English is UTF-8 too, with a zero behind each letter.
    if let Some(encoding) = utf_16(sample) {
        return Some(encoding);
    }
    if std::str::from_utf8(bytes).is_ok() {
        return Some(UTF_8);
    }
    if sample.iter().any(|byte| is_foreign(char::from(*byte))) {
        return None;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    Some(detector.guess(None, Utf8Detection::Allow))
}

/// UTF-16 without a byte order mark: every other byte of most European text is 0, and no text of another kind has such bytes.
fn utf_16(sample: &[u8]) -> Option<&'static Encoding> {
    let pairs = sample.len() / 2;
    if pairs < 4 {
        return None;
    }
    let zeros = |offset: usize| sample.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    match (even * 10 > pairs * 4, odd * 10 > pairs * 4) {
        (true, false) if odd == 0 => Some(UTF_16BE),
        (false, true) if even == 0 => Some(UTF_16LE),
        _ => None,
    }
}

/// Whether a character has no place in a text.
fn is_foreign(character: char) -> bool {
    matches!(character, '\0'..='\u{8}' | '\u{e}'..='\u{1a}' | '\u{1c}'..='\u{1f}')
}

fn unified_lines(text: &str) -> String {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Die Lamas grüßen – „hallo“ – und fressen Gräser für ihr Leben gern.\n";

    fn utf_16_bytes(big_endian: bool) -> Vec<u8> {
        let units = TEXT.encode_utf16();
        units
            .flat_map(|unit| {
                if big_endian {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            })
            .collect()
    }

    #[test]
    fn encodings_are_told_apart() {
        let (windows_1252, ..) = encoding_rs::WINDOWS_1252.encode(TEXT);
        let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
        for (what, bytes) in [
            ("UTF-8", TEXT.as_bytes().to_vec()),
            ("UTF-8 with a mark", marked(b"\xef\xbb\xbf", TEXT.as_bytes().to_vec())),
            ("UTF-16LE with a mark", marked(b"\xff\xfe", utf_16_bytes(false))),
            ("UTF-16BE with a mark", marked(b"\xfe\xff", utf_16_bytes(true))),
            ("UTF-16LE", utf_16_bytes(false)),
            ("UTF-16BE", utf_16_bytes(true)),
            ("Windows-1252", windows_1252.into_owned()),
        ] {
            assert_eq!(text(&bytes).as_deref(), Some(TEXT), "{what}");
        }
        assert_eq!(text(b"l\0l\0a\0m\0a\0s\0").as_deref(), Some("llamas"));
        let japanese = "高原にはラマが住んでいます。草を食べて、ゆっくりと歩きます。";
        let (shift_jis, ..) = encoding_rs::SHIFT_JIS.encode(japanese);
        assert_eq!(text(&shift_jis).as_deref(), Some(japanese));
    }

    #[test]
    fn what_is_no_text_is_none() {
        for bytes in [
            b"\0\0\0\0\0\0".as_slice(),
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            b"\x7fELF\x02\x01\x01\0\0\0",
            b"text and \x01\x02\x03",
        ] {
            assert_eq!(text(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn lines_end_alike() {
        assert_eq!(text(b"a\r\nb\rc\n\x0c").as_deref(), Some("a\nb\nc\n\x0c"));
    }
}
