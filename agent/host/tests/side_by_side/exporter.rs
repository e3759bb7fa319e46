//! A real `node_exporter`, of Debian's package.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use crate::page::Page;

/// Ends with the test.
#[derive(Debug)]
pub(crate) struct Exporter {
    child: Child,
    address: String,
    /// Reads what it says, so that it never waits for that.
    log: Option<JoinHandle<()>>,
}

impl Exporter {
    pub(crate) fn start(arguments: &[String]) -> Self {
        let mut child = Command::new("prometheus-node-exporter")
            .args(["--web.listen-address=127.0.0.1:0", "--web.disable-exporter-metrics"])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("node_exporter can be run: apt-get install prometheus-node-exporter");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let said = lines.by_ref().map_while(Result::ok).find(|line| line.contains("Listening on"));
        let said = said.expect("node_exporter says where it listens");
        let address = said.split("address=").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.expect("it names the address").to_owned();
        let log = thread::spawn(move || lines.for_each(drop));
        Self { child, address, log: Some(log) }
    }

    pub(crate) fn scrape(&self) -> Page {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.address)
            .expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.contains(" 200 "), "{head}\n{body}");
        Page::new(body)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().expect("it ends");
        }
        if let Some(log) = self.log.take() {
            log.join().expect("reading it does not panic");
        }
    }
}
