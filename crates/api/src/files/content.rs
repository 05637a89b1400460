//! A file's bytes.

use std::fmt;

use bytes::Bytes;

use super::File;
use crate::{BoxStream, Error, Result};

/// Which bytes are wanted, as HTTP's `Range` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From this byte on, counted from 0, to the end.
    From(u64),
    /// From the first to the last of the two, both included.
    Between(u64, u64),
    /// The last so many.
    Last(u64),
}

impl ByteRange {
    /// The bytes that are meant of so many, as start and end; the end is not included. Fails as an invalid request, with the code
    /// `range_not_satisfiable`, when there are none.
    pub fn of(self, size: u64) -> Result<std::ops::Range<u64>> {
        let range = match self {
            Self::From(start) => start..size,
            Self::Between(first, last) => first..last.saturating_add(1).min(size),
            Self::Last(count) => size.saturating_sub(count)..size,
        };
        if range.is_empty() {
            let message = format!("the range holds none of the {size} bytes");
            return Err(Error::invalid_request(message)
                .with_param("range")
                .with_code("range_not_satisfiable"));
        }
        Ok(range)
    }
}

/// A file's bytes, or some of them.
pub struct FileContent {
    /// What is known of the file.
    pub file: File,
    /// Which of its bytes these are, as start and end; the end is not included.
    pub range: std::ops::Range<u64>,
    /// The bytes. A fault ends them early.
    pub content: BoxStream<Result<Bytes>>,
}

impl fmt::Debug for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileContent")
            .field("file", &self.file)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_what_is_there_of_it() {
        for (range, size, meant) in [
            (ByteRange::From(3), 10, Some(3..10)),
            (ByteRange::From(10), 10, None),
            (ByteRange::Between(0, 0), 10, Some(0..1)),
            (ByteRange::Between(5, u64::MAX), 10, Some(5..10)),
            (ByteRange::Between(6, 5), 10, None),
            (ByteRange::Last(4), 10, Some(6..10)),
            (ByteRange::Last(40), 10, Some(0..10)),
            (ByteRange::Last(0), 10, None),
            (ByteRange::Last(1), 0, None),
        ] {
            assert_eq!(range.of(size).ok(), meant, "{range:?} of {size}");
        }
    }
}
