// SPDX-License-Identifier: GPL-2.0-or-later
//! Values of global variables as text.
//!
//! | variable | text |
//! | --- | --- |
//! | number | `5`, `-5`, `0x1f`, a name of its enumeration, a duration such as `20ms` (in ns) |
//! | truth value | `true`, `false` |
//! | array | elements with commas between, or `16*0` for so many of one; those that are left out are zero |
//! | array of characters | the text |
//! | anything | `hex:` and its bytes, two digits each, in memory order; the rest is zero |

use rota_object::{Btf, Global, Type, TypeId, parse_ns};

/// The most elements that are written as one.
const ELEMENTS_MAX: usize = 1 << 20;

/// The bytes of a variable with this value: as many as it has, or more of an array that somebody
/// may make longer.
pub(crate) fn bytes(btf: &Btf, global: &Global, text: &str) -> Result<Vec<u8>, String> {
    let size = usize::try_from(global.size).unwrap_or(usize::MAX);
    let mut bytes = match text.strip_prefix("hex:") {
        Some(digits) => from_hex(digits)?,
        None => of_type(btf, global.ty, text)?,
    };
    bytes.resize(bytes.len().max(size), 0);
    Ok(bytes)
}

/// Bytes in memory order, from their digits.
pub(crate) fn from_hex(digits: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("'{digits}' is not a number of bytes of two hexadecimal digits each");
    let bytes = digits.as_bytes();
    if !bytes.len().is_multiple_of(2) || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    let pairs = (0..bytes.len()).step_by(2).map(|at| digits.get(at..at + 2));
    pairs.map(|two| u8::from_str_radix(two.unwrap_or(""), 16).map_err(|_| wrong())).collect()
}

fn of_type(btf: &Btf, ty: TypeId, text: &str) -> Result<Vec<u8>, String> {
    let size = btf.size_of(ty).unwrap_or(0) as usize;
    match btf.resolve(ty).1 {
        Type::Int { boolean: true, .. } => match text {
            "true" | "1" => Ok(vec![1]),
            "false" | "0" => Ok(vec![0]),
            _ => Err(format!("'{text}' is neither true nor false")),
        },
        Type::Int { .. } => number(text, size),
        Type::Enum { values, .. } => {
            let named = values.iter().find(|value| btf.text(value.name) == text);
            match named {
                Some(value) => Ok(value.value.to_le_bytes()[..size.min(8)].to_vec()),
                None => number(text, size),
            }
        }
        Type::Array { element, .. } => {
            let values = text.split(',').map(|part| several(btf, *element, part.trim()));
            let values = values.collect::<Result<Vec<_>, _>>();
            let is_text = matches!(btf.resolve(*element).1, Type::Int { boolean: false, .. })
                && btf.size_of(*element) == Some(1)
                && !text.contains([',', '*']);
            if values.is_err() && is_text {
                return Ok(text.as_bytes().to_vec());
            }
            Ok(values?.concat())
        }
        _ => Err(format!("a variable of {size} bytes that is no number: write hex: and its bytes")),
    }
}

/// One element of an array, or `COUNT*VALUE`.
fn several(btf: &Btf, ty: TypeId, text: &str) -> Result<Vec<u8>, String> {
    let Some((count, value)) = text.split_once('*') else { return of_type(btf, ty, text) };
    match count.parse::<usize>() {
        Ok(count) if count <= ELEMENTS_MAX => Ok(of_type(btf, ty, value)?.repeat(count)),
        _ => Err(format!("'{count}' is no number of elements up to {ELEMENTS_MAX}")),
    }
}

/// A number of so many bytes, little-endian.
pub(crate) fn number(text: &str, size: usize) -> Result<Vec<u8>, String> {
    let value = match (text.strip_prefix("0x"), text.ends_with('s')) {
        (Some(digits), _) => i128::from_str_radix(digits, 16).ok(),
        (None, true) => Some(i128::from(parse_ns(text)?)),
        (None, false) => text.parse::<i128>().ok(),
    };
    let value = value.ok_or_else(|| format!("'{text}' is no number"))?;
    let bits = 8 * size.min(8) as u32;
    let (least, most) = (-(1_i128 << (bits.max(1) - 1)), (1_i128 << bits) - 1);
    if !(least..=most).contains(&value) {
        return Err(format!("{value} does not fit into {size} bytes"));
    }
    Ok(value.to_le_bytes()[..size.min(8)].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_object::Object;

    #[test]
    fn numbers() {
        assert_eq!(number("5", 4), Ok(vec![5, 0, 0, 0]));
        assert_eq!(number("-1", 2), Ok(vec![255, 255]));
        assert_eq!(number("0xff00", 2), Ok(vec![0, 255]));
        assert_eq!(number("1us", 4), Ok(vec![232, 3, 0, 0]));
        assert_eq!(number("256", 1), Err("256 does not fit into 1 bytes".into()));
        assert!(number("five", 4).is_err());
        assert_eq!(from_hex("00fF"), Ok(vec![0, 255]));
        assert!(from_hex("0").is_err() && from_hex("0g").is_err() && from_hex("é").is_err());
    }

    #[test]
    fn variables_of_an_object() {
        let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
        let of = |name: &str, text: &str| bytes(object.btf(), object.global(name).unwrap(), text);
        assert_eq!(of("fifo", "true"), Ok(vec![1]));
        assert_eq!(of("slice_ns", "20ms"), Ok(20_000_000_u64.to_le_bytes().to_vec()));
        assert_eq!(of("slice_ns", "hex:01"), Ok(1_u64.to_le_bytes().to_vec()));
        assert!(of("fifo", "maybe").unwrap_err().contains("neither true nor false"));
        assert_eq!(of("fifo", "hex:0101"), Ok(vec![1, 1]), "whoever writes it will see");
    }
}
