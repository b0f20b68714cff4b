// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota view --as perfetto --open`: hands a trace to the page of Perfetto, as Perfetto's own tools do.
//!
//! The page fetches it from this machine. It may do so from port 9001 only. Whoever runs on this machine,
//! and whatever page is open, may ask there. So the trace has a name that nobody can guess, and the
//! request must say that it comes from that page, as browsers do for those that may read the answer.

use crate::{http, output};
use anyhow::{Context, Result, bail};
use std::env;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The one port from which the page may fetch.
const PORT: u16 = 9001;
const PAGE: &str = "https://ui.perfetto.dev";
/// What the page calls the trace.
const NAME: &str = "trace.pftrace";
const REQUEST_BYTES_MAX: usize = 8192;
/// Browsers open connections on which they then say nothing.
const SILENT: Duration = Duration::from_millis(500);
/// A request takes no longer, whoever dawdles.
const REQUEST: Duration = Duration::from_secs(2);
/// A browser that keeps a large trace may not take more of it for a while.
const BUSY: Duration = Duration::from_secs(30);

/// Serves a trace until it was fetched.
pub(super) fn serve(mut trace: File, browser: bool) -> Result<()> {
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)) {
        Ok(listener) => listener,
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {PORT} is in use, and the page of Perfetto may fetch from no other: end who serves \
             there, perhaps another --open, or write the trace with --output FILE and open it at {PAGE}"
        ),
        Err(error) => return Err(error).context(format!("port {PORT}")),
    };
    let path = format!("/{}/{NAME}", secret()?);
    let url = format!("{PAGE}/#!/?url=http://{}:{PORT}{path}", Ipv4Addr::LOCALHOST);
    output::note(&format!(
        "open {url}\nthis ends when the page has fetched the trace, or with Ctrl-C"
    ));
    // Without a desktop there is no browser that could be asked for.
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some());
    if browser && desktop {
        let mut open = Command::new("xdg-open");
        open.arg(&url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if open.spawn().is_err() {
            output::note("there is no xdg-open to ask for a browser: open it by hand");
        }
    }
    loop {
        let (stream, _) = listener.accept().context("waiting for the page")?;
        // Who goes away in the middle may come again.
        if answer(stream, &mut trace, &path).unwrap_or(false) {
            output::note("the page has the trace");
            return Ok(());
        }
    }
}

/// What nobody can guess.
fn secret() -> Result<String> {
    let mut bytes = [0; 16];
    let mut random = File::open("/dev/urandom").context("/dev/urandom")?;
    random.read_exact(&mut bytes).context("/dev/urandom")?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// Answers a request; whether it was for the trace, and got all of it.
fn answer(mut stream: TcpStream, trace: &mut File, path: &str) -> io::Result<bool> {
    stream.set_read_timeout(Some(SILENT))?;
    stream.set_write_timeout(Some(BUSY))?;
    let request = request(&mut stream)?;
    let allowed = [("Access-Control-Allow-Origin", PAGE), ("Cache-Control", "no-store")];
    match judge(&request, path) {
        Ok(()) => {
            let bytes = trace.seek(SeekFrom::End(0))?;
            trace.rewind()?;
            let head = http::head("200 OK", "application/octet-stream", bytes, &allowed);
            stream.write_all(head.as_bytes())?;
            let sent = io::copy(trace, &mut stream)?;
            stream.flush()?;
            Ok(sent == bytes)
        }
        Err(status) => {
            stream.write_all(http::head(status, "text/plain", 0, &[]).as_bytes())?;
            Ok(false)
        }
    }
}

/// The head of a request.
fn request(stream: &mut TcpStream) -> io::Result<String> {
    let until = Instant::now() + REQUEST;
    let (mut received, mut buffer) = (Vec::new(), [0; 1024]);
    while !received.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => received.extend_from_slice(&buffer[..read]),
        }
        if received.len() > REQUEST_BYTES_MAX || Instant::now() > until {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    Ok(String::from_utf8_lossy(&received).into_owned())
}

/// Whether a request gets the trace, which has this path; if not, the status. Only the page of Perfetto
/// does: a request that does not say where it comes from is one of a page that may not read the answer,
/// such as for a picture, or of a program. A page that has itself called by another name, which then leads
/// here, could read everything: by this machine's own names only.
fn judge(request: &str, wanted: &str) -> Result<(), &'static str> {
    let mut lines = request.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (words.next(), words.next());
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let header = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim())
    };
    let own = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{PORT}"));
    let is_own = header("host").is_some_and(|host| own.iter().any(|own| own == host));
    if !is_own || header("origin") != Some(PAGE) {
        return Err("403 Forbidden");
    }
    match (method, path) {
        (Some("GET"), Some(path)) if path == wanted => Ok(()),
        (Some("GET"), _) => Err("404 Not Found"),
        _ => Err("405 Method Not Allowed"),
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE, judge, secret};

    const PATH: &str = "/5ec/trace.pftrace";

    #[test]
    fn only_the_trace_by_the_names_of_this_machine() {
        let ask = |line: &str, host: &str| {
            let head = format!("{line} HTTP/1.1\r\nhost: {host}\r\norigin: {PAGE}\r\n\r\n");
            judge(&head, PATH)
        };
        assert_eq!(ask("GET /5ec/trace.pftrace", "127.0.0.1:9001"), Ok(()));
        assert_eq!(ask("GET /5ec/trace.pftrace", "localhost:9001"), Ok(()));
        for (line, host, status) in [
            ("GET /", "127.0.0.1:9001", "404 Not Found"),
            ("GET /trace.pftrace", "127.0.0.1:9001", "404 Not Found"),
            ("GET /5ed/trace.pftrace", "127.0.0.1:9001", "404 Not Found"),
            ("GET /../etc/passwd", "127.0.0.1:9001", "404 Not Found"),
            ("POST /5ec/trace.pftrace", "127.0.0.1:9001", "405 Method Not Allowed"),
            ("OPTIONS /5ec/trace.pftrace", "127.0.0.1:9001", "405 Method Not Allowed"),
            ("GET /5ec/trace.pftrace", "evil.example:9001", "403 Forbidden"),
            ("GET /5ec/trace.pftrace", "localhost", "403 Forbidden"),
        ] {
            assert_eq!(ask(line, host), Err(status), "{line} {host}");
        }
    }

    #[test]
    fn only_for_the_page() {
        let from = |origin: &str| {
            let head = format!("GET {PATH} HTTP/1.1\r\nHost: localhost:9001\r\n{origin}\r\n");
            judge(&head, PATH)
        };
        assert_eq!(from(&format!("Origin: {PAGE}\r\n")), Ok(()));
        // A picture of another page, or a program, says nothing.
        for other in ["", "Origin: null\r\n", "Origin: https://ui.perfetto.dev.e.org\r\n"] {
            assert_eq!(from(other), Err("403 Forbidden"), "{other}");
        }
        assert_eq!(judge(&format!("GET {PATH} HTTP/1.0\r\n\r\n"), PATH), Err("403 Forbidden"));
    }

    #[test]
    fn secrets_differ() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_eq!((one.len(), other.len()), (32, 32));
        assert_ne!(one, other);
    }
}
