//! What the kernel's NFS server counts: `/proc/net/rpc/nfsd`.

use super::source::lines;

/// The counters; none for each line that this kernel does not have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Reply cache: hits, misses, calls that are not cached.
    pub reply_cache: Option<[u64; 3]>,
    /// Stale file handles.
    pub stale_handles: Option<u64>,
    /// Bytes read from and written to disk.
    pub bytes: Option<[u64; 2]>,
    /// Threads.
    pub threads: Option<u64>,
    /// Read-ahead cache: its size, and what was not found in it.
    pub read_ahead: Option<[u64; 2]>,
    /// Packets by UDP and by TCP, and TCP connections.
    pub network: Option<[u64; 3]>,
    /// Calls, and those that were bad: by format, by credentials, by client.
    pub calls: Option<[u64; 4]>,
    /// Calls of version 2, by number of the procedure.
    pub v2: Option<Vec<u64>>,
    /// The same of version 3.
    pub v3: Option<Vec<u64>>,
    /// Operations of version 4, by their number.
    pub v4: Option<Vec<u64>>,
    /// Delegated attributes that were asked back, in newer kernels.
    pub v4_delegated_attributes: Option<u64>,
}

/// Returns what the lines say, or the number of the first wrong one. Lines of a name that is not
/// known here are skipped: newer kernels have more.
pub(super) fn parse(text: &[u8]) -> Result<Counters, usize> {
    let mut all = Counters::default();
    for (number, line) in lines(text) {
        let line = std::str::from_utf8(line).map_err(|_| number)?;
        let mut words = line.split_ascii_whitespace();
        let name = words.next().ok_or(number)?;
        // Only `th` has other numbers than whole ones, after the one that counts.
        let values: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        take(&mut all, name, &values).ok_or(number)?;
    }
    Ok(all)
}

fn take(all: &mut Counters, name: &str, values: &[u64]) -> Option<()> {
    match name {
        "rc" => all.reply_cache = Some(*values.first_chunk()?),
        "fh" => all.stale_handles = Some(*values.first()?),
        "io" => all.bytes = Some(*values.first_chunk()?),
        "th" => all.threads = Some(*values.first()?),
        "ra" => all.read_ahead = Some([*values.first()?, *values.last()?]),
        "net" => {
            let [_all, udp, tcp, connections] = *values.first_chunk()?;
            all.network = Some([udp, tcp, connections]);
        }
        "rpc" => {
            let [calls, _bad, format, credentials, client] = *values.first_chunk()?;
            all.calls = Some([calls, format, credentials, client]);
        }
        "proc2" => all.v2 = Some(counted(values)?),
        "proc3" => all.v3 = Some(counted(values)?),
        "proc4ops" => all.v4 = Some(counted(values)?),
        "wdeleg_getattr" => all.v4_delegated_attributes = Some(*values.first()?),
        _ => {}
    }
    Some(())
}

/// The first number says how many follow.
fn counted(values: &[u64]) -> Option<Vec<u64>> {
    let (count, values) = values.split_first()?;
    (usize::try_from(*count) == Ok(values.len())).then(|| values.to_vec())
}

/// It has some 20 lines.
pub(super) const COUNTERS_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_lies_about_its_length_is_refused() {
        assert_eq!(parse(b"proc3 3 1 2\n"), Err(1));
        assert_eq!(parse(b"th 8 0\nrc 1\n"), Err(2));
        let newer = parse(b"th 8 0 0.0\nsomething new\nwdeleg_getattr 15\n").unwrap();
        assert_eq!((newer.threads, newer.v4_delegated_attributes), (Some(8), Some(15)));
    }

    #[test]
    fn parsing_never_panics() {
        let line = "(rc|ra|net|rpc|proc4ops)( [0-9]{1,21}){0,5}";
        proptest::proptest!(|(bytes: Vec<u8>, text in line)| {
            drop(parse(&bytes));
            drop(parse(text.as_bytes()));
        });
    }
}
