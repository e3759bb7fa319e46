//! Broken and hostile servers: each answer ends in a value that was asked for, or in an error
//! within the limit; never in a panic, a hang, growth, or somebody else's value.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::future::Future;
use std::time::Duration;

use curfew_nut::client::resolver::Resolver;
use curfew_nut::client::{Client, Credentials, Limits};
use curfew_nut::codec::request::Secret;
use curfew_nut::error::{ClientError, ErrorClass, ErrorCode};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(2),
    answer: Duration::from_secs(1),
    quick_acknowledge: true,
};

/// What the server does once the scripted bytes are sent.
#[derive(Clone, Copy)]
enum Then {
    Close,
    Stay,
}

/// Answers each request with the next script, then closes or stays silent.
async fn serve(listener: TcpListener, scripts: Vec<Vec<u8>>, then: Then) {
    let (stream, _peer) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    for script in scripts {
        let mut request = String::new();
        if stream.read_line(&mut request).await.unwrap() == 0 {
            return;
        }
        // The client may have left in the middle of a script; that is its right.
        if stream.get_mut().write_all(&script).await.is_err() {
            return;
        }
    }
    if let Then::Stay = then {
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest).await);
    }
}

/// Runs a client against scripted answers.
async fn against<Work, Outcome, T>(scripts: &[&[u8]], then: Then, work: Work) -> T
where
    Work: FnOnce(Client) -> Outcome,
    Outcome: Future<Output = T>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::new(listener.local_addr().unwrap().to_string().parse().unwrap());
    let scripts = scripts.iter().map(|script| script.to_vec()).collect();
    let client = async {
        let client = Client::connect(&resolver, LIMITS).await.unwrap();
        work(client).await
    };
    let (outcome, ()) = tokio::join!(client, serve(listener, scripts, then));
    outcome
}

async fn get(script: &[u8], then: Then) -> Result<String, ClientError> {
    against(&[script], then, async |mut client| client.variable("u", "ups.status").await).await
}

async fn list(script: &[u8], then: Then) -> Result<Vec<(String, String)>, ClientError> {
    against(&[script], then, async |mut client| client.list_variables("u").await).await
}

fn assert_spent<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> ClientError {
    let error = outcome.expect_err("nothing usable was sent");
    assert_eq!(error.class(), ErrorClass::Spent, "{error:?}");
    assert!(error.is_transient(), "{error:?}");
    error
}

#[tokio::test]
async fn rows_with_odd_names_are_taken_as_they_are() {
    let script = b"BEGIN LIST VAR u\nVAR u device.uptime \"3 days\"\nEND LIST VAR u\n";
    let rows = list(script, Then::Stay).await.unwrap();
    assert_eq!(rows, [("device.uptime".to_owned(), "3 days".to_owned())]);
}

#[tokio::test]
async fn the_value_of_another_variable_is_refused() {
    let error = assert_spent(get(b"VAR u device.uptime \"3 days\"\n", Then::Stay).await);
    assert!(matches!(error, ClientError::Mismatch { .. }), "{error:?}");
}

#[tokio::test]
async fn the_value_of_another_ups_is_refused() {
    assert_spent(get(b"VAR other ups.status \"OL\"\n", Then::Stay).await);
}

#[tokio::test]
async fn invalid_utf8_is_refused() {
    let error = assert_spent(get(b"VAR u ups.status \"\xff\xfe\"\n", Then::Stay).await);
    assert!(matches!(error, ClientError::Frame { .. }), "{error:?}");
}

#[tokio::test]
async fn nul_bytes_are_refused() {
    assert_spent(get(b"VAR u ups.status \"O\0L\"\n", Then::Stay).await);
}

#[tokio::test]
async fn a_line_without_end_before_the_close_is_refused() {
    let error = assert_spent(get(b"VAR u ups.status \"OL\"", Then::Close).await);
    assert!(matches!(error, ClientError::Closed { .. }), "{error:?}");
}

#[tokio::test]
async fn an_empty_line_is_refused() {
    assert_spent(get(b"\n", Then::Stay).await);
}

#[tokio::test]
async fn an_open_quote_is_refused() {
    assert_spent(get(b"VAR u ups.status \"OL\nVAR u ups.status \"OL\"\n", Then::Stay).await);
}

#[tokio::test]
async fn a_single_quote_in_a_value_is_ordinary() {
    assert_eq!(get(b"VAR u ups.status \"it's\"\n", Then::Stay).await.unwrap(), "it's");
}

#[tokio::test]
async fn a_carriage_return_is_not_part_of_the_value() {
    assert_eq!(get(b"VAR u ups.status \"OL\"\r\n", Then::Stay).await.unwrap(), "OL");
}

#[tokio::test]
async fn a_missing_value_and_a_surplus_word_are_refused() {
    assert_spent(get(b"VAR u ups.status\n", Then::Stay).await);
    assert_spent(get(b"VAR u ups.status \"OL\" more\n", Then::Stay).await);
}

#[tokio::test]
async fn a_close_without_an_answer_is_an_error() {
    let error = assert_spent(get(b"", Then::Close).await);
    assert!(matches!(error, ClientError::Closed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_close_in_the_middle_of_a_list_is_an_error() {
    assert_spent(list(b"BEGIN LIST VAR u\nVAR u a \"1\"\n", Then::Close).await);
}

#[tokio::test]
async fn silence_ends_at_the_limit() {
    let started = Instant::now();
    let error = assert_spent(get(b"", Then::Stay).await);
    assert!(matches!(error, ClientError::Deadline { .. }), "{error:?}");
    assert!(started.elapsed() < LIMITS.answer * 5);
}

#[tokio::test]
async fn a_list_that_drips_ends_at_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::new(listener.local_addr().unwrap().to_string().parse().unwrap());
    let client = async {
        let mut client = Client::connect(&resolver, LIMITS).await.unwrap();
        client.list_variables("u").await
    };
    let server = async {
        let (mut stream, _peer) = listener.accept().await.unwrap();
        let mut drip: &[u8] = b"BEGIN LIST VAR u\n";
        while stream.write_all(drip).await.is_ok() {
            drip = b"VAR u a \"1\"\n";
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        outcome = client => assert!(matches!(outcome, Err(ClientError::Deadline { .. }))),
        () = server => panic!("the client closed without an error"),
    }
}

#[tokio::test]
async fn an_endless_line_is_refused_after_512_bytes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::new(listener.local_addr().unwrap().to_string().parse().unwrap());
    let client = async {
        let mut client = Client::connect(&resolver, LIMITS).await.unwrap();
        let error = assert_spent(client.variable("u", "ups.status").await);
        assert!(matches!(error, ClientError::Frame { .. }), "{error:?}");
        assert!(client.is_spent());
    };
    let server = async {
        let (mut stream, _peer) = listener.accept().await.unwrap();
        let mebibyte = vec![b'x'; 1 << 20];
        let mut taken = 0;
        // The server may push 64 MiB; the client takes what its buffers hold and leaves.
        while taken < 64 && stream.write_all(&mebibyte).await.is_ok() {
            taken += 1;
        }
        taken
    };
    let ((), taken) = tokio::join!(client, server);
    assert!(taken < 64, "the client swallowed {taken} MiB");
}

#[tokio::test]
async fn a_cut_answer_with_the_next_one_glued_to_it_is_refused() {
    let cut = format!("VAR u ups.status \"{}VER 2.8.0\n", "v".repeat(600));
    let error = assert_spent(get(cut.as_bytes(), Then::Stay).await);
    assert!(matches!(error, ClientError::Frame { .. }), "{error:?}");
}

#[tokio::test]
async fn the_beginning_and_the_end_of_another_list_are_refused() {
    assert_spent(list(b"BEGIN LIST VAR other\nEND LIST VAR other\n", Then::Stay).await);
    assert_spent(list(b"BEGIN LIST VAR u\nEND LIST VAR other\n", Then::Stay).await);
    assert_spent(list(b"BEGIN LIST VAR u\nEND LIST RW u\n", Then::Stay).await);
}

#[tokio::test]
async fn a_foreign_row_and_an_error_in_a_list_are_refused() {
    assert_spent(list(b"BEGIN LIST VAR u\nVAR v a \"1\"\nEND LIST VAR u\n", Then::Stay).await);
    assert_spent(list(b"BEGIN LIST VAR u\nERR DATA-STALE\n", Then::Stay).await);
}

#[tokio::test]
async fn a_list_without_end_is_refused_while_it_is_small() {
    let mut endless = b"BEGIN LIST VAR u\n".to_vec();
    for _ in 0..10_000 {
        endless.extend_from_slice(b"VAR u a \"1\"\n");
    }
    let error = assert_spent(list(&endless, Then::Stay).await);
    assert!(matches!(error, ClientError::Mismatch { .. }), "{error:?}");
}

#[tokio::test]
async fn an_error_with_more_words_is_known_and_the_connection_stays() {
    let scripts: [&[u8]; 2] = [b"ERR DATA-STALE since yesterday\n", b"VAR u ups.status \"OL\"\n"];
    against(&scripts, Then::Stay, async |mut client| {
        let refused = client.variable("u", "ups.status").await.unwrap_err();
        assert_eq!(refused.code(), Some(&ErrorCode::DataStale));
        assert_eq!(refused.class(), ErrorClass::Refused);
        assert_eq!(client.variable("u", "ups.status").await.unwrap(), "OL");
    })
    .await;
}

#[tokio::test]
async fn an_answer_before_the_question_is_refused() {
    let scripts: [&[u8]; 1] = [b"OK\nVAR u ups.status \"OL\"\n"];
    against(&scripts, Then::Stay, async |mut client| {
        client.log_in("u").await.unwrap();
        let error = assert_spent(client.variable("u", "ups.status").await);
        assert!(matches!(error, ClientError::Unasked { .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn after_a_cancelled_call_the_next_one_gets_no_answer_of_another() {
    let scripts: [&[u8]; 1] = [b""];
    against(&scripts, Then::Stay, async |mut client| {
        let call = client.variable("u", "battery.charge");
        assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
        let next = client.variable("u", "ups.mfr").await;
        assert!(matches!(next, Err(ClientError::Spent)), "{next:?}");
    })
    .await;
}

#[tokio::test]
async fn master_is_asked_where_primary_is_unknown() {
    let scripts: [&[u8]; 2] = [b"ERR UNKNOWN-COMMAND\n", b"OK MASTER-GRANTED\n"];
    against(&scripts, Then::Stay, async |mut client| {
        client.become_primary("u").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_argument_that_cannot_be_sent_leaves_the_connection_usable() {
    let scripts: [&[u8]; 1] = [b"VAR u ups.status \"OL\"\n"];
    against(&scripts, Then::Stay, async |mut client| {
        let credentials =
            Credentials { username: "Grüße".to_owned(), password: Secret::new("x") };
        let error = client.authenticate(&credentials).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Configuration);
        assert_eq!(client.variable("u", "ups.status").await.unwrap(), "OL");
    })
    .await;
}

#[tokio::test]
async fn a_refused_connection_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let resolver = Resolver::new(address.to_string().parse().unwrap());
    let error = Client::connect(&resolver, LIMITS).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot connect to {address}"));
}

#[tokio::test]
async fn all_addresses_of_a_name_are_tried() {
    // `localhost` is ::1 as well as 127.0.0.1 on most machines; only the second one listens here.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let resolver = Resolver::new(format!("localhost:{port}").parse().unwrap());
    let client = Client::connect(&resolver, LIMITS).await.unwrap();
    assert_eq!(client.peer(), Some(listener.local_addr().unwrap()));
}

#[tokio::test]
async fn an_unfinished_call_does_not_keep_the_stream_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::new(listener.local_addr().unwrap().to_string().parse().unwrap());
    let client = Client::connect(&resolver, LIMITS).await.unwrap();
    let (mut stream, _peer): (TcpStream, _) = listener.accept().await.unwrap();
    drop(client);
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0);
}
