//! The time zone of the host: a file of the format that the system's own library reads (`TZif`).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::read::CollectError;

/// Returns the name and the offset of the zone at a second since 1970; none if the file does not
/// say it, which is so beyond its table where a rule goes on.
pub(super) fn read(path: &Path, second: i64) -> Result<Option<(String, i64)>, CollectError> {
    let failed = |source| CollectError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(at(&bytes, second))
}

fn at(file: &[u8], second: i64) -> Option<(String, i64)> {
    let first = Header::read(file)?;
    if first.version == 0 {
        return first.at(file.get(HEADER..)?, 4, second).found();
    }
    // The table of the first version has 32 bits; behind it is one with 64.
    let file = file.get(HEADER + first.len(4)..)?;
    let header = Header::read(file)?;
    let data = file.get(HEADER..)?;
    match header.at(data, 8, second) {
        Answer::Found(zone) => Some(zone),
        Answer::Beyond(zone) => match rule(data.get(header.len(8)..)?) {
            Some(standing) => standing,
            None => zone,
        },
        Answer::Nonsense => None,
    }
}

enum Answer {
    Found((String, i64)),
    /// The last change of the table is past; if there is no rule, that counts.
    Beyond(Option<(String, i64)>),
    Nonsense,
}

impl Answer {
    fn found(self) -> Option<(String, i64)> {
        match self {
            Self::Found(zone) => Some(zone),
            Self::Beyond(zone) => zone,
            Self::Nonsense => None,
        }
    }
}

struct Header {
    version: u8,
    /// Of each kind of entry: UTC marks, standard marks, leap seconds, changes, types, letters.
    counts: [usize; 6],
}

impl Header {
    fn read(file: &[u8]) -> Option<Self> {
        let head = file.get(..HEADER)?;
        if !head.starts_with(b"TZif") {
            return None;
        }
        let mut counts = [0; 6];
        for (count, bytes) in counts.iter_mut().zip(head.get(20..)?.chunks_exact(4)) {
            let value = u32::from_be_bytes(bytes.try_into().ok()?);
            *count = usize::try_from(value).ok().filter(|count| *count <= COUNT_MAX)?;
        }
        Some(Self { version: *head.get(4)?, counts })
    }

    /// Returns how long the data is, with times of so many bytes.
    fn len(&self, time: usize) -> usize {
        let [utc, standard, leaps, changes, types, letters] = self.counts;
        changes * (time + 1) + types * 6 + letters + leaps * (time + 4) + standard + utc
    }

    fn at(&self, data: &[u8], time: usize, second: i64) -> Answer {
        let [.., changes, types, letters] = self.counts;
        let parts = data
            .split_at_checked(changes * time)
            .and_then(|(times, rest)| Some((times, rest.split_at_checked(changes)?)));
        let Some((times, (indexes, rest))) = parts else { return Answer::Nonsense };
        let past = times.chunks_exact(time).take_while(|bytes| big_endian(bytes) <= second);
        let past = past.count();
        let kind = match past.checked_sub(1) {
            // Before the first change the first type counts.
            None => Some(0),
            Some(last) => indexes.get(last).map(|kind| usize::from(*kind)),
        };
        let letters = rest.get(types * 6..types * 6 + letters).unwrap_or_default();
        let zone = kind.and_then(|kind| zone(rest.get(kind * 6..kind * 6 + 6)?, letters));
        if past == changes {
            return Answer::Beyond(zone);
        }
        zone.map_or(Answer::Nonsense, Answer::Found)
    }
}

/// Reads an entry of six bytes: the offset, whether it is summer, where the name begins.
fn zone(entry: &[u8], letters: &[u8]) -> Option<(String, i64)> {
    let (offset, rest) = entry.split_at_checked(4)?;
    let name = letters.get(usize::from(*rest.last()?)..)?.split(|byte| *byte == 0).next()?;
    let offset = i32::from_be_bytes(offset.try_into().ok()?);
    Some((String::from_utf8_lossy(name).into_owned(), offset.into()))
}

/// Reads the rule at the end, `<+01>-1` or `CET-1CEST,M3.5.0,M10.5.0/3`. None if there is none;
/// and no zone if it has a summer, which the table must tell.
#[expect(clippy::option_option, reason = "no rule, a rule that does not say, a rule that says")]
fn rule(footer: &[u8]) -> Option<Option<(String, i64)>> {
    let text = std::str::from_utf8(footer).ok()?.trim();
    if text.is_empty() {
        return None;
    }
    if text.contains(',') {
        return Some(None);
    }
    Some(standing(text))
}

fn standing(text: &str) -> Option<(String, i64)> {
    let (name, offset) = match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?,
        None => text.split_at_checked(text.find(|c: char| !c.is_ascii_alphabetic())?)?,
    };
    let (is_ahead, digits) = match offset.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, offset.strip_prefix('+').unwrap_or(offset)),
    };
    let mut seconds = 0;
    for (part, unit) in digits.split(':').zip([3600, 60, 1]) {
        seconds += part.parse::<i64>().ok().filter(|part| (0..=167).contains(part))? * unit;
    }
    // The rule has what must be added to the local time to have UTC.
    Some((name.to_owned(), if is_ahead { seconds } else { -seconds }))
}

fn big_endian(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    bytes.iter().fold(if negative { -1 } else { 0 }, |value, byte| value << 8 | i64::from(*byte))
}

const HEADER: usize = 44;
/// The longest that there is has 3 KiB.
const LIMIT: u64 = 64 << 10;
/// Changes, types and letters of a file within the limit.
const COUNT_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 2 with one change, at the second 1000: from LMT to CET.
    fn file(rule: &str) -> Vec<u8> {
        let head = |counts: [u32; 6]| {
            let mut head = b"TZif2".to_vec();
            head.resize(20, 0);
            head.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
            head
        };
        let mut file = head([0; 6]);
        file.extend(head([0, 0, 0, 2, 2, 8]));
        file.extend([1000_i64, 2000].iter().flat_map(|time| time.to_be_bytes()));
        file.extend([1, 0]);
        file.extend(53_i32.to_be_bytes().iter().chain(&[0, 0]));
        file.extend(3600_i32.to_be_bytes().iter().chain(&[0, 4]));
        file.extend(b"LMT\0CET\0");
        file.extend(format!("\n{rule}\n").bytes());
        file
    }

    #[test]
    fn the_table_and_the_rule_tell_the_zone() {
        let zone = |name: &str, offset| Some((name.to_owned(), offset));
        assert_eq!(at(&file("CET-1"), -5), zone("LMT", 53));
        assert_eq!(at(&file("CET-1"), 1000), zone("CET", 3600));
        assert_eq!(at(&file("<+0530>-5:30"), 2000), zone("+0530", 19_800));
        assert_eq!(at(&file("EST5"), 3000), zone("EST", -18_000));
        assert_eq!(at(&file(""), 3000), zone("LMT", 53), "without a rule the last change counts");
        assert_eq!(at(&file("CET-1CEST,M3.5.0,M10.5.0/3"), 3000), None, "a summer is not guessed");
    }

    #[test]
    fn negative_times_are_read() {
        assert_eq!(big_endian(&(-1000_i64).to_be_bytes()), -1000);
        assert_eq!(big_endian(&(-7_i32).to_be_bytes()), -7);
    }

    #[test]
    fn nonsense_has_no_zone() {
        proptest::proptest!(|(mut bytes: Vec<u8>, second: i64, cut in 0..200_usize)| {
            at(&bytes, second);
            bytes.splice(0..0, file("CET-1"));
            bytes.truncate(cut);
            at(&bytes, second);
        });
    }
}
