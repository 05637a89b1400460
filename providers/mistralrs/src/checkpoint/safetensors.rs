//! Looks at the headers of safetensors files: what they promise must be in the file.
//!
//! Layout: the header's length as 8 bytes, little endian; the header, a JSON object that tells the type, shape and place of each
//! tensor; the tensors. <https://github.com/huggingface/safetensors#format>

use std::fs::File;
use std::io::{Read, Seek};

use serde_json::{Map, Value};

/// The most bytes of a header that any reader takes.
const LONGEST_HEADER: u64 = 100_000_000;

/// Checks a file. The error says what is wrong.
pub(super) fn check(file: &mut File) -> Result<(), String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    file.rewind().map_err(|error| error.to_string())?;
    check_reader(file, length)
}

fn check_reader(reader: &mut impl Read, length: u64) -> Result<(), String> {
    let mut header_length = [0; 8];
    let rest = length.checked_sub(8).ok_or("it is too short for a header")?;
    reader
        .read_exact(&mut header_length)
        .map_err(|error| error.to_string())?;
    let header_length = u64::from_le_bytes(header_length);
    if header_length > rest || header_length > LONGEST_HEADER {
        return Err(format!(
            "its header should have {header_length} bytes, and the file has {length}"
        ));
    }
    // No longer than the file is.
    let mut header = vec![0; usize::try_from(header_length).map_err(|error| error.to_string())?];
    reader.read_exact(&mut header).map_err(|error| error.to_string())?;
    let header: Map<String, Value> =
        serde_json::from_slice(&header).map_err(|error| format!("its header is not valid: {error}"))?;
    let mut places = Vec::new();
    for (name, tensor) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        places.push(place(tensor).map_err(|cause| format!("the tensor `{name}` {cause}"))?);
    }
    places.sort_unstable();
    let mut end_before = 0;
    for (begin, end) in places {
        if begin != end_before {
            return Err(format!("its tensors leave a gap or overlap at byte {begin}"));
        }
        end_before = end;
    }
    let data = rest - header_length;
    if end_before != data {
        return Err(format!("its tensors have {end_before} bytes, and there are {data}"));
    }
    Ok(())
}

/// Where a tensor begins and ends behind the header.
fn place(tensor: &Value) -> Result<(u64, u64), String> {
    let bits = tensor["dtype"]
        .as_str()
        .and_then(bits)
        .ok_or_else(|| format!("is of the unknown type {}", tensor["dtype"]))?;
    let shape = tensor["shape"].as_array().ok_or("has no shape")?;
    let numbers = shape
        .iter()
        .try_fold(1_u64, |product, size| product.checked_mul(size.as_u64()?));
    let bytes = numbers
        .and_then(|numbers| numbers.checked_mul(bits))
        .filter(|bits| bits % 8 == 0)
        .map(|bits| bits / 8)
        .ok_or_else(|| format!("has the impossible shape {}", tensor["shape"]))?;
    let offsets = &tensor["data_offsets"];
    match (offsets[0].as_u64(), offsets[1].as_u64(), offsets[2].is_null()) {
        (Some(begin), Some(end), true) if end.checked_sub(begin) == Some(bytes) => Ok((begin, end)),
        _ => Err(format!("takes {bytes} bytes, but its place is {offsets}")),
    }
}

fn bits(dtype: &str) -> Option<u64> {
    match dtype {
        "F4" => Some(4),
        "F6_E2M3" | "F6_E3M2" => Some(6),
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => Some(8),
        "I16" | "U16" | "F16" | "BF16" => Some(16),
        "I32" | "U32" | "F32" => Some(32),
        "I64" | "U64" | "F64" | "C64" => Some(64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn file(header: &Value, data: usize) -> Vec<u8> {
        let header = header.to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend(std::iter::repeat_n(0, data));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<(), String> {
        check_reader(&mut &*bytes, bytes.len() as u64)
    }

    fn sound() -> Value {
        json!({
            "__metadata__": {"format": "pt"},
            "b": {"dtype": "F16", "shape": [2, 3], "data_offsets": [8, 20]},
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        })
    }

    #[test]
    fn what_the_header_promises_must_be_there() {
        read(&file(&sound(), 20)).unwrap();
        read(&file(&json!({}), 0)).unwrap();
        let with = |offsets: Value, shape: Value, dtype: &str| {
            let mut header = sound();
            header["b"] = json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
            file(&header, 20)
        };
        for (bytes, cause) in [
            (vec![], "too short"),
            (vec![255; 8], "its header should have"),
            (
                9_u64.to_le_bytes().to_vec(),
                "its header should have 9 bytes, and the file has 8",
            ),
            (file(&json!([]), 0), "its header is not valid"),
            (file(&sound(), 19), "there are 19"),
            (file(&sound(), 21), "there are 21"),
            (
                with(json!([8, 20]), json!([2, 4]), "F16"),
                "takes 16 bytes, but its place is [8,20]",
            ),
            (with(json!([20, 8]), json!([2, 3]), "F16"), "but its place is"),
            (with(json!([9, 21]), json!([2, 3]), "F16"), "gap or overlap at byte 9"),
            (with(json!([0, 12]), json!([2, 3]), "F16"), "gap or overlap at byte 0"),
            (with(json!([8, 20]), json!([u64::MAX, 8]), "F16"), "impossible shape"),
            (with(json!([8, 20]), json!([-1]), "F16"), "impossible shape"),
            (with(json!([8, 20]), json!([2, 3]), "PICKLE"), "unknown type \"PICKLE\""),
        ] {
            let error = read(&bytes).unwrap_err();
            assert!(error.contains(cause), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn damage_is_an_error_or_harmless(at in 0_usize..160, byte in any::<u8>(), cut in 0_usize..200) {
            let mut bytes = file(&sound(), 20);
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(length - cut.min(length) / 8);
            let _ = read(&bytes);
        }

        #[test]
        fn noise_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(read(&bytes).is_err());
        }
    }
}
