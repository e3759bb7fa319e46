//! Words and numbers in the kernel's files.

/// Returns a decimal number; nothing that is not finite.
pub(crate) fn number(word: &str) -> Option<f64> {
    let value: f64 = word.parse().ok()?;
    value.is_finite().then_some(value)
}

/// Returns a whole number in hexadecimal digits, without a prefix.
pub(crate) fn hexadecimal(word: &str) -> Option<f64> {
    u64::from_str_radix(word, 16).ok().map(float)
}

/// Returns a whole number as C reads it: `0x1003` is hexadecimal.
pub(crate) fn integer(word: &str) -> Option<f64> {
    match word.strip_prefix("0x") {
        Some(digits) => hexadecimal(digits),
        None => word.parse::<i64>().ok().map(signed),
    }
}

/// Returns the lines with something in them, numbered from 1.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty())
}

/// Returns the words of a line.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_ascii_whitespace()
}

/// Returns a counter of the kernel as what Prometheus reads, which is a double.
#[expect(clippy::cast_precision_loss, reason = "the page has doubles: exact below 2^53")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

/// Returns a number with a sign as what Prometheus reads.
#[expect(clippy::cast_precision_loss, reason = "the page has doubles: exact below 2^53")]
pub(crate) fn signed(value: i64) -> f64 {
    value as f64
}

/// Returns whether a metric can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// Returns 1 or 0.
pub(crate) fn one_if(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_kernel_writes_them() {
        assert_eq!(number("12.5"), Some(12.5));
        assert_eq!(number("-1"), Some(-1.0));
        assert_eq!((number("inf"), number("NaN"), number("")), (None, None, None));
        assert_eq!(hexadecimal("000003e8"), Some(1000.0));
        assert_eq!((integer("0x1003"), integer("-1")), (Some(4099.0), Some(-1.0)));
        assert_eq!((integer("0x"), integer("1.5")), (None, None));
    }
}
