//! The safetensors format: the length of a JSON header, the header, the values.

use serde_json::{Map, Value, json};

use crate::weights::Tensor;

/// Lays out tensors in the given order as 32-bit floats.
pub(crate) fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut offset = 0;
    for tensor in tensors {
        let end = offset + tensor.values.len() * size_of::<f32>();
        let entry = json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [offset, end]});
        header.insert(tensor.name.clone(), entry);
        offset = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The values start at a multiple of eight bytes, so that a reader may map them into memory.
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut bytes = Vec::with_capacity(size_of::<u64>() + header.len() + offset);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    for value in tensors.iter().flat_map(|tensor| &tensor.values) {
        bytes.extend(value.to_le_bytes());
    }
    bytes
}
