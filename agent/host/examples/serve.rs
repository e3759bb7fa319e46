//! Serves the metrics of this host alone, to compare them with those of `node_exporter`:
//!
//! ```text
//! cargo run --release -p curfew-host --example serve -- 127.0.0.1:9101 [ROOT]
//! ```
//!
//! `ROOT` is a folder with `proc`, `sys`, `root` and `udev` in it instead of the real ones.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use curfew_host::{Format, Host, Roots, Selection, Settings};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9101".to_owned());
    let roots = arguments.next().map_or_else(Roots::default, |root| below(Path::new(&root)));
    let text_folders: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    let settings = Settings { text_folders, ..Settings::default() };
    let host = Host::new(roots, settings, &Selection::default());
    let listener = TcpListener::bind(address)?;
    let mut page = String::new();
    for stream in listener.incoming() {
        // A client that goes away is none of ours.
        answer(&stream?, &host, &mut page).unwrap_or_default();
    }
    Ok(())
}

fn below(root: &Path) -> Roots {
    Roots {
        proc: root.join("proc"),
        sys: root.join("sys"),
        root: root.join("root"),
        udev: root.join("udev"),
    }
}

fn answer(stream: &TcpStream, host: &Host, page: &mut String) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    // Requests of a connection that stays open, one after the other.
    loop {
        line.clear();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        page.clear();
        curfew_host::render(host.collect().samples(), Format::Text, page);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n\
             content-length: {}\r\n\r\n",
            page.len()
        );
        // In one piece: two would wait for each other.
        page.insert_str(0, &head);
        let mut stream = stream;
        stream.write_all(page.as_bytes())?;
    }
}
