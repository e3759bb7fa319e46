//! The octal escapes in which the kernel and its tools write names that hold blanks.

/// Undoes `\ooo`, the form of blank, tab, newline, backslash and hash.
pub(crate) fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        plain.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { rest.get(4..).unwrap_or_default() } else { tail };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_everything_else_stays() {
        assert_eq!(unescape(br"a\040b\134c\0"), br"a b\c\0");
        proptest::proptest!(|(bytes: Vec<u8>)| {
            proptest::prop_assert!(unescape(&bytes).len() <= bytes.len());
        });
    }
}
