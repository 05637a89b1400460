//! Looks at the headers of GGUF files: what they promise must be in the file.
//!
//! Layout: `GGUF`, version, numbers of tensors and of metadata; the metadata by name; the name, shape, type and place of each
//! tensor; the tensors. <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

use std::fs::File;
use std::io::{BufReader, Read, Seek};

const MAGIC: [u8; 4] = *b"GGUF";
/// Deeper arrays in arrays have no use.
const DEEPEST_ARRAY: u32 = 4;
/// The most dimensions of a tensor.
const MOST_DIMENSIONS: u32 = 8;
/// The most bytes of a name.
const LONGEST_NAME: u64 = 64 * 1024;

/// What a header tells, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// The most tokens that the model was made for.
    pub(super) context_length: Option<u64>,
}

/// Whether a file begins as GGUF files do.
pub(super) fn is_gguf(file: &mut File) -> bool {
    let mut magic = [0; 4];
    file.read_exact(&mut magic).is_ok() && magic == MAGIC
}

/// Checks a file. The error says what is wrong.
pub(super) fn check(file: &mut File) -> Result<Header, String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    file.rewind().map_err(|error| error.to_string())?;
    Scanner {
        reader: BufReader::new(file),
        left: length,
    }
    .header(length)
}

/// Reads, and counts what is left.
struct Scanner<R> {
    reader: R,
    left: u64,
}

/// A piece of metadata, as far as it matters here.
enum Metadata {
    Number(u64),
    Other,
}

impl<R: Read> Scanner<R> {
    fn header(mut self, length: u64) -> Result<Header, String> {
        if self.bytes::<4>()? != MAGIC {
            return Err("it does not begin as GGUF files do".to_owned());
        }
        let version = self.u32()?;
        if !matches!(version, 2 | 3) {
            return Err(format!("it is of version {version} of the format; 2 and 3 can be read"));
        }
        let (tensors, metadata) = (self.u64()?, self.u64()?);
        // Name and value of metadata take 13 bytes at least, a tensor's entry 32.
        self.fits(metadata, 13, "metadata")?;
        self.fits(tensors, 24, "tensors")?;
        let mut header = Header::default();
        let mut alignment = 32;
        for _ in 0..metadata {
            let name = self.name()?;
            let kind = self.u32()?;
            match self.value(kind, 0)? {
                Metadata::Number(number) if name == b"general.alignment" => alignment = number,
                Metadata::Number(number) if name.ends_with(b".context_length") => header.context_length = Some(number),
                Metadata::Number(_) | Metadata::Other => {}
            }
        }
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(format!(
                "its alignment is {alignment}, which is no power of 2 up to 1048576"
            ));
        }
        let mut ends = Vec::new();
        for _ in 0..tensors {
            let name = self.name()?;
            let end = self.tensor_end(alignment).map_err(|cause| {
                let name = String::from_utf8_lossy(&name).into_owned();
                format!("the tensor `{name}` {cause}")
            })?;
            ends.push(end);
        }
        let begin = (length - self.left).next_multiple_of(alignment);
        let data = length.saturating_sub(begin);
        match ends.into_iter().max() {
            Some(end) if end > data => Err(format!("its tensors end at byte {end}, and there are {data}")),
            _ => Ok(header),
        }
    }

    /// Where a tensor ends behind the header.
    fn tensor_end(&mut self, alignment: u64) -> Result<u64, String> {
        let dimensions = self.u32()?;
        if dimensions > MOST_DIMENSIONS {
            return Err(format!("has {dimensions} dimensions"));
        }
        let mut numbers = Some(1_u64);
        for _ in 0..dimensions {
            let size = self.u64()?;
            numbers = numbers.and_then(|numbers| numbers.checked_mul(size));
        }
        let kind = self.u32()?;
        let offset = self.u64()?;
        let (block, bytes) = block(kind).ok_or_else(|| format!("is of the unknown type {kind}"))?;
        if offset % alignment != 0 {
            return Err(format!("begins at byte {offset}, which is no multiple of {alignment}"));
        }
        numbers
            .filter(|numbers| numbers % block == 0)
            .and_then(|numbers| (numbers / block).checked_mul(bytes))
            .and_then(|bytes| bytes.checked_add(offset))
            .ok_or_else(|| "has an impossible shape".to_owned())
    }

    fn value(&mut self, kind: u32, depth: u32) -> Result<Metadata, String> {
        let number = match kind {
            0 | 1 | 7 => u64::from(self.bytes::<1>()?[0]),
            2 | 3 => u64::from(u16::from_le_bytes(self.bytes()?)),
            4 | 5 => u64::from(self.u32()?),
            10 | 11 => self.u64()?,
            6 => {
                self.bytes::<4>()?;
                return Ok(Metadata::Other);
            }
            12 => {
                self.bytes::<8>()?;
                return Ok(Metadata::Other);
            }
            8 => {
                let length = self.u64()?;
                self.skip(length)?;
                return Ok(Metadata::Other);
            }
            9 => {
                self.array(depth)?;
                return Ok(Metadata::Other);
            }
            _ => return Err(format!("its metadata is of the unknown type {kind}")),
        };
        Ok(Metadata::Number(number))
    }

    fn array(&mut self, depth: u32) -> Result<(), String> {
        if depth == DEEPEST_ARRAY {
            return Err("its metadata has arrays in arrays without end".to_owned());
        }
        let kind = self.u32()?;
        let count = self.u64()?;
        let size = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            8 => {
                self.fits(count, 8, "texts")?;
                for _ in 0..count {
                    let length = self.u64()?;
                    self.skip(length)?;
                }
                return Ok(());
            }
            9 => {
                self.fits(count, 12, "arrays")?;
                for _ in 0..count {
                    self.array(depth + 1)?;
                }
                return Ok(());
            }
            _ => return Err(format!("its metadata is of the unknown type {kind}")),
        };
        self.fits(count, size, "numbers")?;
        self.skip(count * size)
    }

    fn name(&mut self) -> Result<Vec<u8>, String> {
        let length = self.u64()?;
        if length > LONGEST_NAME || length > self.left {
            return Err(format!("it has a name of {length} bytes"));
        }
        let mut name = vec![0; length as usize];
        self.reader.read_exact(&mut name).map_err(|error| error.to_string())?;
        self.left -= length;
        Ok(name)
    }

    /// Fails unless as many things of at least this size can be in what is left.
    fn fits(&self, count: u64, least_bytes: u64, what: &str) -> Result<(), String> {
        match count.checked_mul(least_bytes) {
            Some(bytes) if bytes <= self.left => Ok(()),
            _ => Err(format!("it promises {count} {what}, and has {} more bytes", self.left)),
        }
    }

    fn skip(&mut self, length: u64) -> Result<(), String> {
        if length > self.left {
            return Err(format!("it promises {length} bytes, and has {} more", self.left));
        }
        let skipped = std::io::copy(&mut self.reader.by_ref().take(length), &mut std::io::sink());
        if skipped.map_err(|error| error.to_string())? < length {
            return Err("it ends too early".to_owned());
        }
        self.left -= length;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.left = self.left.checked_sub(N as u64).ok_or("it ends too early")?;
        self.reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.bytes().map(u64::from_le_bytes)
    }
}

/// Numbers in a block of a type of tensor, and the bytes that it takes.
fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 => (1, 4),
        1 | 30 => (1, 2),
        2 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        10 => (256, 84),
        11 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &mut Vec<u8>, text: &str) {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }

    /// A file with some metadata and one tensor of 64 numbers in blocks of 32, whose parts can be told to be otherwise.
    fn file(change: impl Fn(&mut Parts)) -> Vec<u8> {
        let mut parts = Parts {
            version: 3,
            tensors: 1,
            metadata: 4,
            alignment: 32,
            texts: 2,
            dimensions: vec![32, 2],
            kind: 8,
            offset: 0,
            data: 68,
        };
        change(&mut parts);
        let mut bytes = b"GGUF".to_vec();
        bytes.extend_from_slice(&parts.version.to_le_bytes());
        bytes.extend_from_slice(&parts.tensors.to_le_bytes());
        bytes.extend_from_slice(&parts.metadata.to_le_bytes());
        text(&mut bytes, "general.alignment");
        bytes.extend_from_slice(&4_u32.to_le_bytes());
        bytes.extend_from_slice(&parts.alignment.to_le_bytes());
        text(&mut bytes, "general.name");
        bytes.extend_from_slice(&8_u32.to_le_bytes());
        text(&mut bytes, "tiny");
        text(&mut bytes, "llama.context_length");
        bytes.extend_from_slice(&10_u32.to_le_bytes());
        bytes.extend_from_slice(&4096_u64.to_le_bytes());
        text(&mut bytes, "tokens");
        bytes.extend_from_slice(&9_u32.to_le_bytes());
        bytes.extend_from_slice(&8_u32.to_le_bytes());
        bytes.extend_from_slice(&parts.texts.to_le_bytes());
        text(&mut bytes, "a");
        text(&mut bytes, "b");
        text(&mut bytes, "w");
        bytes.extend_from_slice(&(parts.dimensions.len() as u32).to_le_bytes());
        for size in &parts.dimensions {
            bytes.extend_from_slice(&size.to_le_bytes());
        }
        bytes.extend_from_slice(&parts.kind.to_le_bytes());
        bytes.extend_from_slice(&parts.offset.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(32) + parts.data, 0);
        bytes
    }

    struct Parts {
        version: u32,
        tensors: u64,
        metadata: u64,
        alignment: u32,
        texts: u64,
        dimensions: Vec<u64>,
        kind: u32,
        offset: u64,
        data: usize,
    }

    fn read(bytes: &[u8]) -> Result<Header, String> {
        let length = bytes.len() as u64;
        Scanner {
            reader: bytes,
            left: length,
        }
        .header(length)
    }

    #[test]
    fn what_the_header_promises_must_be_there() {
        let header = read(&file(|_| {})).unwrap();
        assert_eq!(header.context_length, Some(4096));
        let cases: [(Vec<u8>, &str); 13] = [
            (b"GGU".to_vec(), "ends too early"),
            (b"GGML....".to_vec(), "does not begin"),
            (file(|parts| parts.version = 1), "version 1"),
            (
                file(|parts| parts.tensors = u64::MAX),
                "it promises 18446744073709551615 tensors",
            ),
            (file(|parts| parts.metadata = 1 << 40), "metadata"),
            (file(|parts| parts.alignment = 0), "its alignment is 0"),
            (file(|parts| parts.alignment = 24), "its alignment is 24"),
            (
                file(|parts| parts.texts = 1 << 50),
                "it promises 1125899906842624 texts",
            ),
            (
                file(|parts| parts.dimensions = vec![u64::MAX, 32]),
                "`w` has an impossible shape",
            ),
            (file(|parts| parts.dimensions = vec![33]), "`w` has an impossible shape"),
            (file(|parts| parts.kind = 99), "`w` is of the unknown type 99"),
            (
                file(|parts| parts.offset = 32),
                "its tensors end at byte 100, and there are 68",
            ),
            (file(|parts| parts.data = 67), "there are 67"),
        ];
        for (bytes, cause) in cases {
            let error = read(&bytes).unwrap_err();
            assert!(error.contains(cause), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn damage_is_an_error_or_harmless(damage in prop::collection::vec((0_usize..400, any::<u8>()), 1..4), cut in 0_usize..400) {
            let mut bytes = file(|_| {});
            let length = bytes.len();
            for (at, byte) in damage {
                bytes[at % length] = byte;
            }
            bytes.truncate(length - cut % length);
            let _ = read(&bytes);
        }

        #[test]
        fn noise_is_an_error(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = b"GGUF\x03\0\0\0".to_vec();
            bytes.extend(noise);
            prop_assert!(read(&bytes).is_err() || bytes.len() >= 24);
        }
    }
}
