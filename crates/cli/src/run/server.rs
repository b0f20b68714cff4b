// SPDX-License-Identifier: GPL-2.0-or-later
//! Statistics on a UNIX socket.
//!
//! A client sends a line and gets an answer: `stats` (a JSON line), `watch` (a JSON line now and
//! with every printed sample), `describe` (what the numbers mean), `openmetrics`, `snapshot` (a JSON
//! line: what the scheduler plans moves from). An HTTP `GET` gets OpenMetrics text, so that a scraper
//! can use the socket as it is. A client that sends nonsense gets a JSON line with `error`; one that
//! watches and doesn't read is dropped.

use crate::output;
use anyhow::{Context, Result};
use rota_events::{Metric, Sample, describe, json_line, open_metrics};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

const FOLDER: &str = "/run/rota";
const CLIENTS_MAX: usize = 64;
const REQUEST_BYTES_MAX: usize = 8192;
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a request is answered from.
pub(crate) struct Status<'a> {
    pub(crate) scheduler: &'a str,
    pub(crate) metrics: &'a [Metric],
    pub(crate) before: &'a Sample,
    pub(crate) now: &'a Sample,
    /// Gives what the scheduler plans moves from, if it plans any.
    pub(crate) snapshot: &'a dyn Fn() -> Result<Option<String>>,
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Stats,
    Watch,
    Describe,
    OpenMetrics,
    Snapshot,
    Http { found: bool },
    Unknown(String),
}

impl Status<'_> {
    /// The bytes of the answer.
    pub(crate) fn answer(&self, request: &Request) -> String {
        let metrics = || open_metrics(self.scheduler, self.metrics, self.now);
        match request {
            Request::Stats | Request::Watch => {
                json_line(self.scheduler, self.metrics, self.before, self.now) + "\n"
            }
            Request::Describe => describe(self.scheduler, self.metrics) + "\n",
            Request::OpenMetrics => metrics(),
            Request::Snapshot => match (self.snapshot)() {
                Ok(Some(snapshot)) => snapshot + "\n",
                Err(error) => failure(&error.to_string()),
                Ok(None) => failure(&format!("{} plans no moves between domains", self.scheduler)),
            },
            Request::Http { found: true } => http("200 OK", OPEN_METRICS_TYPE, &metrics()),
            Request::Http { found: false } => {
                http("404 Not Found", "text/plain", "there is only GET /metrics\n")
            }
            Request::Unknown(text) => failure(&format!(
                "unknown request '{text}'; there are: stats, watch, describe, openmetrics, snapshot"
            )),
        }
    }
}

fn failure(error: &str) -> String {
    serde_json::json!({ "error": error }).to_string() + "\n"
}

fn http(status: &str, content_type: &str, body: &str) -> String {
    crate::http::head(status, content_type, body.len() as u64, &[]) + body
}

/// The socket and its clients.
pub(crate) struct Server {
    listener: UnixListener,
    path: PathBuf,
    clients: Vec<Client>,
}

struct Client {
    stream: UnixStream,
    received: Vec<u8>,
    /// What it has not taken yet.
    to_send: Vec<u8>,
    watches: bool,
    /// It closed its sending side, and may still listen.
    silent: bool,
}

impl Server {
    /// Opens the socket. Where it was not asked for by name and cannot be had, says so and does
    /// without.
    pub(crate) fn open(path: Option<&Path>, scheduler: &str) -> Result<Option<Self>> {
        let default = socket_of(scheduler);
        match (Self::bind(path.unwrap_or(&default)), path) {
            (Ok(server), _) => Ok(Some(server)),
            (Err(error), Some(path)) => Err(error).with_context(|| path.display().to_string()),
            (Err(error), None) => {
                output::note(&format!(
                    "rota: statistics are not served: {}: {error}",
                    default.display()
                ));
                Ok(None)
            }
        }
    }

    fn bind(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        if fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket()) {
            if UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(ErrorKind::AddrInUse, "somebody serves there"));
            }
            // A socket that nobody serves is what a killed process left behind. Anything else
            // that has this name stays, and is in the way.
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path: path.to_owned(), clients: Vec::new() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What to wait for.
    pub(crate) fn fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        // What is not read is not waited for, or waiting would end at once, again and again.
        let waits = |client: &Client| !client.silent || !client.to_send.is_empty();
        let clients = self.clients.iter().filter(move |client| waits(client)).map(|client| {
            let sends = !client.to_send.is_empty();
            PollFd::new(&client.stream, if sends { PollFlags::OUT } else { PollFlags::IN })
        });
        let listener = (self.clients.len() < CLIENTS_MAX).then_some(&self.listener);
        listener.map(|listener| PollFd::new(listener, PollFlags::IN)).into_iter().chain(clients)
    }

    /// Takes new clients and answers what they sent.
    pub(crate) fn answer(&mut self, answer: &mut dyn FnMut(&Request) -> String) {
        while self.clients.len() < CLIENTS_MAX {
            let Ok((stream, _)) = self.listener.accept() else { break };
            if stream.set_nonblocking(true).is_ok() {
                self.clients.push(Client {
                    stream,
                    received: Vec::new(),
                    to_send: Vec::new(),
                    watches: false,
                    silent: false,
                });
            }
        }
        self.clients.retain_mut(|client| client.attend(answer).is_ok());
    }

    /// Sends a line to everyone who watches.
    pub(crate) fn publish(&mut self, line: &str) {
        self.clients.retain_mut(|c| !c.watches || c.send(&format!("{line}\n")).is_ok());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already; a stale socket is also removed by the next run.
        let _ = fs::remove_file(&self.path);
    }
}

impl Client {
    /// Reads what came and answers every whole request. An error drops the client.
    fn attend(&mut self, answer: &mut dyn FnMut(&Request) -> String) -> io::Result<()> {
        self.flush()?;
        let mut buffer = [0; 1024];
        // Who does not take what it asked for is not asked what else it wants.
        while !self.silent && self.to_send.is_empty() {
            match self.stream.read(&mut buffer) {
                // It has said all it wants to say, but may still want to hear.
                Ok(0) => self.silent = true,
                Ok(n) => self.received.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
            if self.received.len() > REQUEST_BYTES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        while self.to_send.is_empty()
            && let Some(request) = take_request(&mut self.received)
        {
            self.watches |= request == Request::Watch;
            self.send(&answer(&request))?;
            if matches!(request, Request::Http { .. }) {
                // The connection ends with the answer.
                self.silent = true;
                self.received.clear();
            }
        }
        // Who has closed both ways is noticed here, not only when there is something to send.
        let listens = (self.watches || !self.to_send.is_empty()) && !hung_up(&self.stream);
        if !self.silent || listens { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// Sends a text, or as much of it as is taken now, the rest later. An error if it has not taken
    /// what it was sent before.
    fn send(&mut self, text: &str) -> io::Result<()> {
        if !self.to_send.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.to_send.extend_from_slice(text.as_bytes());
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.to_send.is_empty() {
            match self.stream.write(&self.to_send) {
                Ok(sent) => drop(self.to_send.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether the other end of a connection is closed.
fn hung_up(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::HUP)
}

/// Takes the first whole request out of what was received.
fn take_request(received: &mut Vec<u8>) -> Option<Request> {
    let text = String::from_utf8_lossy(received).into_owned();
    let (line, _) = text.split_once('\n')?;
    if let Some(rest) = line.strip_prefix("GET ") {
        let (head, _) = text.split_once("\r\n\r\n")?;
        received.drain(..(head.len() + 4).min(received.len()));
        let path = rest.split([' ', '?', '\r']).next().unwrap_or_default();
        return Some(Request::Http { found: path == "/metrics" });
    }
    let end = received.iter().position(|&b| b == b'\n')?;
    received.drain(..=end);
    Some(match line.trim() {
        "stats" => Request::Stats,
        "watch" => Request::Watch,
        "describe" => Request::Describe,
        "openmetrics" => Request::OpenMetrics,
        "snapshot" => Request::Snapshot,
        other => Request::Unknown(other.chars().take(80).collect()),
    })
}

/// Where a scheduler's statistics are, if nobody says otherwise.
pub(crate) fn socket_of(scheduler: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{}.sock", file_name(scheduler)))
}

/// A scheduler's name as a file name.
pub(crate) fn file_name(scheduler: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    scheduler.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_events::MetricKind;
    use std::io::{BufRead, BufReader};

    #[test]
    fn requests_are_taken_one_by_one() {
        let mut received =
            b"stats\nwatch\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metricsfoo HTTP/1.1\r\n\r\nwhat\nsta"
                .to_vec();
        let mut taken = Vec::new();
        while let Some(request) = take_request(&mut received) {
            taken.push(request);
        }
        let http = Request::Http { found: true };
        let other = Request::Http { found: false };
        let unknown = Request::Unknown("what".into());
        assert_eq!(taken, [Request::Stats, Request::Watch, http, other, unknown]);
        assert_eq!(received, b"sta");
    }

    #[test]
    fn a_client_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        let mut server = Server::bind(&path).unwrap();
        assert!(Server::bind(&path).is_err(), "somebody serves there");
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(b"watch\nnonsense\n").unwrap();
        let metrics = [Metric::new("queued", MetricKind::Counter, "tasks", "help")];
        let sample = Sample { at_ns: 5, values: vec![7] };
        let snapshot = "s".repeat(1 << 20);
        let status = Status {
            scheduler: "x",
            metrics: &metrics,
            before: &Sample::default(),
            now: &sample,
            snapshot: &|| Ok(Some(snapshot.clone())),
        };
        server.answer(&mut |request| status.answer(request));
        server.publish("{\"again\":1}");
        let lines: Vec<_> = BufReader::new(client).lines().take(3).map(Result::unwrap).collect();
        assert!(lines[0].contains("\"queued\":7"), "{lines:?}");
        assert!(lines[1].contains("unknown request 'nonsense'"), "{lines:?}");
        assert_eq!(lines[2], "{\"again\":1}");
        drop(UnixStream::connect(&path).and_then(|mut c| c.write_all(b"watch\n")));
        server.answer(&mut |request| status.answer(request));
        server.answer(&mut |request| status.answer(request));
        assert!(server.clients.is_empty(), "who hung up is let go");
        let mut brief = UnixStream::connect(&path).unwrap();
        brief.write_all(b"stats\n").unwrap();
        brief.shutdown(std::net::Shutdown::Write).unwrap();
        server.answer(&mut |request| status.answer(request));
        let mut all = String::new();
        brief.read_to_string(&mut all).unwrap();
        assert!(all.contains("\"queued\":7"), "who says no more is answered still: {all}");
        let mut large = UnixStream::connect(&path).unwrap();
        large.write_all(b"snapshot\nstats\n").unwrap();
        large.shutdown(std::net::Shutdown::Write).unwrap();
        let reads = std::thread::spawn(move || {
            let mut all = String::new();
            large.read_to_string(&mut all).map(|_| all)
        });
        while !reads.is_finished() {
            server.answer(&mut |request| status.answer(request));
        }
        let all = reads.join().unwrap().unwrap();
        let (first, second) = all.split_once('\n').unwrap();
        assert!(
            first == snapshot && second.contains("\"queued\":7"),
            "what is long comes in parts"
        );
        let mut deaf = UnixStream::connect(&path).unwrap();
        deaf.write_all(b"watch\nsnapshot\n").unwrap();
        server.answer(&mut |request| status.answer(request));
        assert_eq!(server.clients.len(), 1);
        server.publish("{}");
        assert!(server.clients.is_empty(), "who watches and does not read is let go");
        drop(server);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(Server::bind(&path).is_ok());
    }

    #[test]
    fn a_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        fs::write(&path, "text").unwrap();
        assert!(Server::bind(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }
}
