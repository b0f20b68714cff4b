// SPDX-License-Identifier: GPL-2.0-or-later
//! What servers of HTTP have in common: how an answer begins.

use std::fmt::Write;

/// The head of an answer with so many bytes, after which the connection ends.
pub(crate) fn head(status: &str, content_type: &str, bytes: u64, more: &[(&str, &str)]) -> String {
    let mut head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {bytes}\r\n\
         Connection: close\r\n"
    );
    for (name, value) in more {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + "\r\n"
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_head_ends_with_an_empty_line() {
        let head = super::head("200 OK", "text/plain", 5, &[("X", "y")]);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"), "{head}");
        assert!(head.ends_with("Connection: close\r\nX: y\r\n\r\n"), "{head}");
    }
}
