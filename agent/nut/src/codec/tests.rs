//! What the codec promises: NUT's own rules in both directions, and calm on any bytes.

use proptest::prelude::*;

use crate::codec::answer::{Answer, AnswerError, Collector, MAX_ROWS};
use crate::codec::line::{LineAssembler, LineError, MAX_LINE};
use crate::codec::request::{Request, Secret};
use crate::codec::word::{
    ArgumentError, Dialect, MAX_WORD, MAX_WORDS, Step, Tokenizer, WordError, quote_into,
    split_answer,
};
use crate::error::ErrorCode;

/// All lines that `upsd` would read from these bytes; an error stands for the dropped rest.
fn read_as_upsd(bytes: &[u8]) -> Vec<Result<Vec<String>, WordError>> {
    let mut tokenizer = Tokenizer::new(Dialect::Request);
    let mut lines = Vec::new();
    for byte in bytes {
        match tokenizer.push(*byte) {
            Ok(Step::More) => {}
            Ok(Step::Line(words)) => lines.push(Ok(words)),
            Err(error) => {
                lines.push(Err(error));
                break;
            }
        }
    }
    lines
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn upsd_reads_requests_as_the_facts_say() {
    let cases: [(&[u8], &[&str]); 12] = [
        (b"GET VAR eaton ups.load\n", &["GET", "VAR", "eaton", "ups.load"]),
        (b"USERNAME 'two words'\n", &["USERNAME", "'two", "words'"]),
        (b"a#b\n", &["a"]),
        (b"ups.load=3\n", &["ups.load", "=", "3"]),
        (b"ab\"c d\n", &["ab\"c", "d"]),
        (b"V\0E\x01R\xff\r\n", &["VER"]),
        (b"GET \\\nVER\n", &["GET", "VER"]),
        (b"PASSWORD \"\\#x\"\n", &["PASSWORD", "#x"]),
        (b"SET \"\"\n", &["SET", ""]),
        (b"GET \"open\nVER\n\" x\n", &["GET", "openVER", "x"]),
        (b"# comment\n", &[]),
        (b"\n", &[]),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read_as_upsd(bytes), [Ok(words(expected))], "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_bare_hash_in_quotes_gets_no_answer() {
    let lines = read_as_upsd(b"USERNAME \"a#b\"\nVER\nNETVER\n");
    assert_eq!(lines, [Err(WordError::BareHash)]);
}

#[test]
fn upsd_cuts_silently_what_is_too_much() {
    let long = read_as_upsd(&[vec![b'x'; 1_000_000], vec![b'\n']].concat());
    assert_eq!(long, [Ok(vec!["x".repeat(MAX_WORD)])]);
    let many = read_as_upsd(format!("{}\n", "a ".repeat(1000)).as_bytes());
    assert_eq!(many, [Ok(vec!["a".to_owned(); MAX_WORDS])]);
}

#[test]
fn answers_undo_all_three_escapes() {
    let line = r#"VAR odd ups.id "has \"quotes\" and \\ back and \# hash""#;
    let value = r#"has "quotes" and \ back and # hash"#;
    assert_eq!(split_answer(line).unwrap(), words(&["VAR", "odd", "ups.id", value]));
}

#[test]
fn answers_forgive_what_other_servers_do_not_escape() {
    let split = split_answer(r#"VAR u x "a#b = c" it's"#).unwrap();
    assert_eq!(split, words(&["VAR", "u", "x", "a#b = c", "it's"]));
}

#[test]
fn an_open_quote_or_escape_ends_an_answer_in_an_error() {
    for line in ["VAR u x \"abc", "VAR u x \"abc\\", "VAR u x\\"] {
        assert_eq!(split_answer(line), Err(WordError::OpenQuote), "{line}");
    }
}

#[test]
fn arguments_that_upsd_would_change_are_refused() {
    let mut line = String::new();
    assert_eq!(quote_into(&mut line, "Grüße"), Err(ArgumentError::Unprintable(0xc3)));
    assert_eq!(quote_into(&mut line, "a\nb"), Err(ArgumentError::Unprintable(b'\n')));
    assert_eq!(quote_into(&mut line, &"x".repeat(512)), Err(ArgumentError::TooLong(512)));
    assert_eq!(line, "");
    assert_eq!(quote_into(&mut line, &"x".repeat(511)), Ok(()));
}

#[test]
fn a_secret_does_not_show_itself() {
    let shown = format!("{:?}", Request::Password(Secret::new("hunter2")));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_line_of_511_bytes_fits_and_one_more_does_not() {
    let mut assembler = LineAssembler::default();
    let fits = [vec![b'x'; MAX_LINE - 1], vec![b'\n']].concat();
    assert_eq!(assembler.feed(&fits).unwrap().line, Some("x".repeat(MAX_LINE - 1)));
    let exceeds = vec![b'x'; MAX_LINE];
    assert_eq!(assembler.feed(&exceeds), Err(LineError::TooLong));
}

#[test]
fn a_line_in_pieces_is_put_together() {
    let mut assembler = LineAssembler::default();
    assert_eq!(assembler.feed(b"VER").unwrap().line, None);
    assert!(!assembler.is_empty());
    let fed = assembler.feed(b"SION\r\nrest").unwrap();
    assert_eq!((fed.used, fed.line.as_deref()), (6, Some("VERSION")));
    assert!(assembler.is_empty());
}

fn collect(request: &Request, lines: &[&str]) -> Result<Option<Answer>, AnswerError> {
    let mut collector = Collector::new(request);
    for line in lines {
        if let Some(answer) = collector.on_line(line)? {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

#[test]
fn names_are_compared_without_regard_to_case() {
    let request = Request::GetVariable("Eaton".into(), "UPS.Status".into());
    let answer = collect(&request, &["VAR eaton ups.status \"OL\""]);
    assert_eq!(answer, Ok(Some(Answer::Values(words(&["OL"])))));
}

#[test]
fn an_answer_about_something_else_is_not_taken() {
    let request = Request::GetVariable("eaton".into(), "ups.mfr".into());
    for line in [
        "VAR eaton battery.charge \"51\"",
        "VAR outage ups.mfr \"51\"",
        "DESC eaton ups.mfr \"51\"",
        "VAR eaton",
        "OK",
        "",
    ] {
        assert_eq!(collect(&request, &[line]), Err(AnswerError::Foreign), "{line}");
    }
    assert_eq!(collect(&request, &["VAR eaton ups.mfr"]), Err(AnswerError::Count));
    assert_eq!(collect(&request, &["VAR eaton ups.mfr \"a\" b"]), Err(AnswerError::Count));
}

#[test]
fn an_error_is_known_by_its_second_word() {
    let request = Request::ListVariables("u".into());
    let refused = collect(&request, &["ERR DATA-STALE since yesterday"]);
    assert_eq!(refused, Ok(Some(Answer::Refused(ErrorCode::DataStale))));
    let unknown = collect(&Request::Version, &["ERR BRAND-NEW"]);
    assert_eq!(unknown, Ok(Some(Answer::Refused(ErrorCode::Other("BRAND-NEW".into())))));
}

#[test]
fn a_list_must_begin_and_end_as_it_was_asked() {
    let request = Request::ListCommands("u".into());
    let good = ["BEGIN LIST CMD u", "CMD u load.off", "END LIST CMD u"];
    assert_eq!(collect(&request, &good), Ok(Some(Answer::Rows(vec![words(&["load.off"])]))));
    let empty = ["BEGIN LIST CMD u", "END LIST CMD u"];
    assert_eq!(collect(&request, &empty), Ok(Some(Answer::Rows(vec![]))));
    let bad: [&[&str]; 6] = [
        &["CMD u load.off"],
        &["BEGIN LIST CMD other"],
        &["BEGIN LIST CMD u extra"],
        &["BEGIN LIST CMD u", "END LIST CMD other"],
        &["BEGIN LIST CMD u", "CMD other load.off"],
        &["BEGIN LIST CMD u", "ERR DATA-STALE"],
    ];
    for lines in bad {
        assert_eq!(collect(&request, lines), Err(AnswerError::Foreign), "{lines:?}");
    }
}

#[test]
fn a_list_without_end_is_given_up() {
    let mut collector = Collector::new(&Request::ListCommands("u".into()));
    assert_eq!(collector.on_line("BEGIN LIST CMD u"), Ok(None));
    for _ in 0..MAX_ROWS {
        assert_eq!(collector.on_line("CMD u x"), Ok(None));
    }
    assert_eq!(collector.on_line("CMD u x"), Err(AnswerError::TooManyRows));
}

#[test]
fn old_and_new_farewells_are_understood() {
    for line in ["OK Goodbye", "Goodbye..."] {
        assert_eq!(collect(&Request::Logout, &[line]), Ok(Some(Answer::Done(vec![]))));
    }
}

fn argument() -> impl Strategy<Value = String> {
    "[ -~]{0,60}"
}

fn request() -> impl Strategy<Value = Request> {
    let texts = (argument(), argument(), argument());
    (texts, 0..27_u8).prop_map(|((a, b, c), kind)| match kind {
        0 => Request::Version,
        1 => Request::NetworkVersion,
        2 => Request::ListUps,
        3 => Request::ListVariables(a),
        4 => Request::ListWritables(a),
        5 => Request::ListCommands(a),
        6 => Request::ListClients(a),
        7 => Request::ListEnum(a, b),
        8 => Request::ListRange(a, b),
        9 => Request::GetVariable(a, b),
        10 => Request::GetType(a, b),
        11 => Request::GetDescription(a, b),
        12 => Request::GetCommandDescription(a, b),
        13 => Request::GetUpsDescription(a),
        14 => Request::GetLogins(a),
        15 => Request::GetTracking,
        16 => Request::GetVerdict(a),
        17 => Request::Username(a),
        18 => Request::Password(Secret::new(a)),
        19 => Request::Login(a),
        20 => Request::Logout,
        21 => Request::Primary(a),
        22 => Request::Master(a),
        23 => Request::ForceShutdown(a),
        24 => Request::SetVariable(a, b, c),
        25 => Request::SetTracking(a.is_empty()),
        _ => Request::RunCommand(a, b, Some(c).filter(|text| !text.is_empty())),
    })
}

/// Answer lines, most of them nearly right.
fn answer_line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("BEGIN".to_owned()),
        Just("END".to_owned()),
        Just("LIST".to_owned()),
        Just("VAR".to_owned()),
        Just("CMD".to_owned()),
        Just("OK".to_owned()),
        Just("ERR".to_owned()),
        Just("u".to_owned()),
        Just("\"x".to_owned()),
        "[ -~]{0,20}",
    ];
    proptest::collection::vec(word, 0..8).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn what_the_client_sends_is_what_upsd_reads(request in request()) {
        let line = request.encode().unwrap();
        let read = read_as_upsd(line.as_bytes());
        prop_assert_eq!(read.len(), 1);
        let words = read[0].clone().unwrap();
        prop_assert_eq!(Request::decode(&words), Ok(request));
    }

    #[test]
    fn what_upsd_quotes_is_what_the_client_reads(value in argument()) {
        let mut line = "VAR u x ".to_owned();
        quote_into(&mut line, &value).unwrap();
        prop_assert_eq!(split_answer(&line).unwrap(), words(&["VAR", "u", "x", &value]));
    }

    #[test]
    fn no_bytes_upset_the_reader_of_requests(bytes: Vec<u8>) {
        for line in read_as_upsd(&bytes).into_iter().flatten() {
            prop_assert!(line.len() <= MAX_WORDS);
            prop_assert!(line.iter().all(|word| word.len() <= MAX_WORD));
            drop(Request::decode(&line));
        }
    }

    #[test]
    fn no_bytes_upset_the_assembler_however_they_are_cut(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 0..8),
    ) {
        let mut assembler = LineAssembler::default();
        'stream: for chunk in &chunks {
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                let Ok(fed) = assembler.feed(rest) else { break 'stream };
                prop_assert!(fed.used > 0 && fed.used <= rest.len());
                prop_assert!(fed.line.is_none_or(|line| line.len() < MAX_LINE));
                rest = &rest[fed.used..];
            }
        }
    }

    #[test]
    fn no_lines_upset_the_collector(
        request in request(),
        lines in proptest::collection::vec(answer_line(), 0..20),
    ) {
        let mut collector = Collector::new(&request);
        for line in &lines {
            if !matches!(collector.on_line(line), Ok(None)) {
                break;
            }
        }
    }

    #[test]
    fn a_list_of_any_values_comes_back_whole(
        rows in proptest::collection::vec(("[a-z.]{1,20}", argument()), 0..40),
    ) {
        let mut collector = Collector::new(&Request::ListVariables("u".to_owned()));
        prop_assert_eq!(collector.on_line("BEGIN LIST VAR u"), Ok(None));
        for (name, value) in &rows {
            let mut line = format!("VAR u {name} ");
            quote_into(&mut line, value).unwrap();
            prop_assert_eq!(collector.on_line(&line), Ok(None));
        }
        let expected = rows.into_iter().map(|(name, value)| vec![name, value]).collect();
        prop_assert_eq!(collector.on_line("END LIST VAR u"), Ok(Some(Answer::Rows(expected))));
    }
}
