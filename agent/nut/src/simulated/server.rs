//! The simulated `upsd` on a TCP listener: one task owns the desk, one per connection reads words.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::codec::word::{Dialect, Step, Tokenizer};
use crate::simulated::Order;
use crate::simulated::desk::{Desk, Reply};

/// The most connections at a time; more are closed at once.
const MAX_CLIENTS: usize = 64;

/// How many requests wait for the desk; each connection has at most one.
const QUESTION_QUEUE_LEN: usize = MAX_CLIENTS;

/// `upsd` closes a client that sent no complete request for so long.
const IDLE_LIMIT: Duration = Duration::from_mins(1);

/// How long a client may take to read an answer.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// The pause after a failed accept, so that a lack of descriptors does not take the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Server {
    listener: TcpListener,
    desk: Desk,
    time_factor: f64,
    orders: mpsc::Receiver<Order>,
    output: watch::Sender<bool>,
    started: Instant,
}

/// What a connection asks the desk.
#[derive(Debug)]
struct Question {
    client: u64,
    words: Vec<String>,
    reply: oneshot::Sender<Reply>,
}

impl Server {
    pub(super) fn new(
        listener: TcpListener,
        desk: Desk,
        time_factor: f64,
        orders: mpsc::Receiver<Order>,
        output: watch::Sender<bool>,
    ) -> Self {
        // A factor of nothing would stop time, one of infinity would end it.
        let time_factor = if time_factor.is_finite() { time_factor.max(0.001) } else { 1.0 };
        Self { listener, desk, time_factor, orders, output, started: Instant::now() }
    }

    pub(super) async fn serve(mut self) {
        let (questions, mut asked) = mpsc::channel::<Question>(QUESTION_QUEUE_LEN);
        let mut connections = JoinSet::new();
        let mut next_client = 0;
        let mut has_handles = true;
        loop {
            let wake = self.next_wake();
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) if connections.len() < MAX_CLIENTS => {
                        next_client += 1;
                        self.desk.enter(next_client, peer.ip());
                        connections.spawn(attend(stream, next_client, questions.clone()));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "the simulated upsd cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(left) = connections.join_next() => {
                    if let Ok(client) = left {
                        self.desk.leave(client);
                    }
                }
                Some(question) = asked.recv() => {
                    self.catch_up();
                    let reply = self.desk.answer(question.client, &question.words);
                    // A client that left does not need its answer.
                    drop(question.reply.send(reply));
                }
                order = self.orders.recv(), if has_handles => match order {
                    Some(Order::RestartUpsd) => {
                        connections.shutdown().await;
                        self.desk.restart();
                    }
                    Some(order) => self.carry_out(&order),
                    None => has_handles = false,
                },
                () = sleep_until(wake) => {}
            }
            self.catch_up();
        }
    }

    fn carry_out(&mut self, order: &Order) {
        self.catch_up();
        match order {
            Order::Mains(present) => self.desk.model.set_mains(*present),
            Order::Driver(driver) => self.desk.model.set_driver(*driver),
            Order::RestartUpsd => {}
        }
    }

    /// Lets the model reach the present and shows the output.
    fn catch_up(&mut self) {
        self.desk.model.advance(self.started.elapsed().mul_f64(self.time_factor));
        let closed = self.desk.model.is_output_closed();
        self.output.send_if_modified(|shown| std::mem::replace(shown, closed) != closed);
    }

    fn next_wake(&self) -> Instant {
        // A little later rather than a rounding error too early.
        let real = self.desk.model.next_event().div_f64(self.time_factor);
        self.started + real + Duration::from_micros(1)
    }
}

/// Serves one connection until it ends; returns which it was.
async fn attend(stream: TcpStream, client: u64, questions: mpsc::Sender<Question>) -> u64 {
    if let Err(error) = converse(stream, client, questions).await {
        tracing::debug!(%error, client, "a connection to the simulated upsd ended");
    }
    client
}

async fn converse(
    mut stream: TcpStream,
    client: u64,
    questions: mpsc::Sender<Question>,
) -> io::Result<()> {
    let mut tokenizer = Tokenizer::new(Dialect::Request);
    let mut buffer = [0; 1024];
    let mut idle_since = Instant::now();
    loop {
        let idle = IDLE_LIMIT.saturating_sub(idle_since.elapsed());
        let read = timeout(idle, stream.read(&mut buffer)).await.map_err(io::Error::other)??;
        if read == 0 {
            return Ok(());
        }
        for byte in buffer.iter().take(read) {
            let words = match tokenizer.push(*byte) {
                Ok(Step::More) => continue,
                Ok(Step::Line(words)) => words,
                // No answer, and the rest of what was read is gone: so does upsd.
                Err(_) => break,
            };
            idle_since = Instant::now();
            let (reply, answered) = oneshot::channel();
            let question = Question { client, words, reply };
            questions.send(question).await.map_err(io::Error::other)?;
            let reply = answered.await.map_err(io::Error::other)?;
            let written = timeout(WRITE_LIMIT, stream.write_all(reply.text.as_bytes())).await;
            written.map_err(io::Error::other)??;
            if reply.closes {
                return Ok(());
            }
        }
    }
}
