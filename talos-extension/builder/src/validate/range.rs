//! Ranges of versions, as a manifest names those of Talos that it is for.

/// A version without what follows its three numbers: Talos drops that before it compares.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
}

impl Version {
    /// Parses `v1.8.0`, `1.8.0` or `1.14.0-rc.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let core = text.split(['-', '+']).next()?;
        let mut numbers = core.split('.').map(number);
        let version =
            Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
        numbers.next().is_none().then_some(version)
    }
}

/// A number as versions have it: digits, without a zero in front.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_zero = text.len() > 1 && text.starts_with('0');
    (is_plain && !has_zero).then(|| text.parse().ok())?
}

/// Alternatives, of which each is a list of conditions that must all hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Range(Vec<Vec<(Comparison, Version)>>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Greater,
    AtLeast,
    Less,
    AtMost,
}

impl Range {
    /// Parses conditions like `>= v1.8.0 < 2.0.0 || 3.1.4`. Wildcards, which Talos also takes, are
    /// refused: they can be written out.
    pub fn parse(text: &str) -> Option<Self> {
        text.split("||").map(conditions).collect::<Option<_>>().map(Self)
    }

    /// Returns whether a version is within.
    pub fn has(&self, version: Version) -> bool {
        let holds = |(comparison, than): &(Comparison, Version)| match comparison {
            Comparison::Equal => version == *than,
            Comparison::NotEqual => version != *than,
            Comparison::Greater => version > *than,
            Comparison::AtLeast => version >= *than,
            Comparison::Less => version < *than,
            Comparison::AtMost => version <= *than,
        };
        self.0.iter().any(|conditions| conditions.iter().all(holds))
    }
}

fn conditions(text: &str) -> Option<Vec<(Comparison, Version)>> {
    let mut conditions = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !"<>=!".contains(c))?;
        let (operator, behind) = rest.split_at_checked(end)?;
        let comparison = match operator {
            "" | "=" | "==" => Comparison::Equal,
            "!" | "!=" => Comparison::NotEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::AtLeast,
            "<" => Comparison::Less,
            "<=" => Comparison::AtMost,
            _ => return None,
        };
        let behind = behind.trim_start();
        let end = behind.find(|c: char| c.is_whitespace() || "<>=!".contains(c));
        let (version, behind) = behind.split_at_checked(end.unwrap_or(behind.len()))?;
        conditions.push((comparison, Version::parse(version)?));
        rest = behind.trim_start();
    }
    (!conditions.is_empty()).then_some(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_their_conditions_say() {
        let has = |range: &str, version: &str| {
            let range = Range::parse(range).unwrap_or_else(|| panic!("{range}"));
            range.has(Version::parse(version).unwrap_or_else(|| panic!("{version}")))
        };
        assert!(has(">= v1.8.0", "1.8.0"));
        assert!(has(">= v1.8.0", "v1.14.0-rc.1"));
        assert!(!has(">= v1.8.0", "1.7.9"));
        assert!(has(">1.0.0 <2.0.0 || >3.0.0 !4.2.1", "1.2.3"));
        assert!(!has(">1.0.0 <2.0.0 || >3.0.0 !4.2.1", "2.0.0"));
        assert!(!has(">1.0.0 <2.0.0 || >3.0.0 !4.2.1", "4.2.1"));
        assert!(has("1.8.0", "1.8.0") && has("<=1.8.0", "1.8.0") && has("!= 1.8.1", "1.8.0"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", ">= ", "1.8", "latest", ">= 1.8.0 ||", "=> 1.8.0", "1.x.0", "01.8.0"] {
            assert_eq!(Range::parse(text), None, "{text:?}");
        }
    }
}
