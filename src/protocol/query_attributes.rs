//! Query attributes: parameters that stand before the text of a `COM_QUERY` under `CLIENT_QUERY_ATTRIBUTES`. They are
//! only passed over.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html>

use super::packet::PayloadReader;

/// The text behind the attributes at the start of `arguments`, which is a `COM_QUERY` without its command byte. `None`
/// where they end too early or have a type that is not known.
pub fn text_behind(arguments: &[u8]) -> Option<&[u8]> {
    // nearly every statement has none, in one set
    if let [0, 1, text @ ..] = arguments {
        return Some(text);
    }
    let mut reader = PayloadReader::new(arguments);
    let count = reader.length_encoded_integer("parameter count").ok()?;
    reader.length_encoded_integer("parameter set count").ok()?;
    let count = usize::try_from(count).ok()?;
    if count == 0 {
        return Some(reader.rest());
    }
    let nulls = reader.bytes(count.div_ceil(8), "NULL bitmap").ok()?;
    if reader.u8("parameters are bound").ok()? != 1 {
        return None;
    }
    let types = (0..count)
        .map(|_| {
            let kind = reader.u16("parameter type").ok()?;
            reader.length_encoded_bytes("parameter name").ok()?;
            Some(kind.to_le_bytes()[0])
        })
        .collect::<Option<Vec<_>>>()?;
    for (place, kind) in types.into_iter().enumerate() {
        let is_null = nulls[place / 8] >> (place % 8) & 1 == 1;
        if !is_null {
            pass_value(&mut reader, kind)?;
        }
    }
    Some(reader.rest())
}

/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>
fn pass_value(reader: &mut PayloadReader<'_>, kind: u8) -> Option<()> {
    const FIELD: &str = "parameter value";
    let width = match kind {
        // NULL
        0x06 => 0,
        // TINY
        0x01 => 1,
        // SHORT, YEAR
        0x02 | 0x0d => 2,
        // LONG, FLOAT, INT24
        0x03 | 0x04 | 0x09 => 4,
        // DOUBLE, LONGLONG
        0x05 | 0x08 => 8,
        // TIMESTAMP, DATE, TIME, DATETIME
        0x07 | 0x0a..=0x0c => usize::from(reader.u8(FIELD).ok()?),
        // DECIMAL, VARCHAR, BIT; VECTOR; JSON, NEWDECIMAL, ENUM, SET, the BLOBs, strings, GEOMETRY
        0x00 | 0x0f | 0x10 | 0xf2 | 0xf5..=0xff => {
            return reader.length_encoded_bytes(FIELD).ok().map(|_| ());
        }
        _ => return None,
    };
    reader.bytes(width, FIELD).ok().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `query_attributes a x n 7` in the mysql 9.7 shell: two strings named `a` and `n`.
    const TWO_STRINGS: &[u8] = b"\x02\x01\x00\x01\xfe\x00\x01a\xfe\x00\x01n\x01x\x017SELECT 1";

    #[test]
    fn attributes_that_are_cut_off_have_no_text_behind_them() {
        let text = b"SELECT 1".len();
        for length in 0..TWO_STRINGS.len() - text {
            assert_eq!(text_behind(&TWO_STRINGS[..length]), None, "{length}");
        }
        assert_eq!(
            text_behind(b"\x01\x01\x00\x00SELECT 1"),
            None,
            "types left out"
        );
        assert_eq!(
            text_behind(b"\x01\x01\x00\x01\x11\x00\x01a\x00SELECT 1"),
            None,
            "a type that only exists in the server"
        );
        assert_eq!(
            text_behind(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            None
        );
    }

    #[test]
    fn the_text_stands_behind_attributes_of_every_type() {
        for (case, arguments) in [
            ("none", b"\x00\x01SELECT 1".as_slice()),
            ("two strings", TWO_STRINGS),
            ("NULL by its bit", b"\x01\x01\x01\x01\xfe\x00\x01aSELECT 1"),
            ("NULL by its type", b"\x01\x01\x00\x01\x06\x00\x01aSELECT 1"),
            ("TINY", b"\x01\x01\x00\x01\x01\x80\x01a7SELECT 1"),
            ("SHORT", b"\x01\x01\x00\x01\x02\x00\x01a77SELECT 1"),
            ("LONG", b"\x01\x01\x00\x01\x03\x00\x01a7777SELECT 1"),
            ("DOUBLE", b"\x01\x01\x00\x01\x05\x00\x01a77777777SELECT 1"),
            ("no time", b"\x01\x01\x00\x01\x0c\x00\x01a\x00SELECT 1"),
            ("a date", b"\x01\x01\x00\x01\x0a\x00\x01a\x047777SELECT 1"),
        ] {
            assert_eq!(text_behind(arguments), Some(&b"SELECT 1"[..]), "{case}");
        }
        let without_the_ninth = [
            &b"\x09\x01\x00\x01\x01"[..],
            &b"\x01\x00\x00".repeat(9),
            b"12345678SELECT 1",
        ];
        assert_eq!(
            text_behind(&without_the_ninth.concat()),
            Some(&b"SELECT 1"[..])
        );
    }
}
