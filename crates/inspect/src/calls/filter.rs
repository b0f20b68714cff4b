// SPDX-License-Identifier: GPL-2.0-or-later
//! Which sessions are told.

use super::{Session, Shown, errno, glob};

/// Which sessions are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those that did not fail, too.
    pub successes: bool,
    /// Only those that failed with one of these errors, if there are any.
    pub errors: Vec<i64>,
    /// Not those that failed with one of these.
    pub not_errors: Vec<i64>,
    /// Only those that took at least so long, in ns.
    pub least_ns: u64,
    /// Only those of threads whose names these globs take, if there are any.
    pub names: Vec<String>,
}

impl Filter {
    /// The positive number of an error, by its name or number.
    ///
    /// # Errors
    /// Words that say what is wanted.
    pub fn error(text: &str) -> Result<i64, String> {
        errno::number(text)
            .filter(|number| (1..=4095).contains(number))
            .ok_or_else(|| format!("'{text}' is no error; wanted is a name such as EINVAL, or 22"))
    }

    /// Whether a session is told.
    pub fn takes(&self, session: &Session, shown: &Shown<'_>) -> bool {
        let error = session.root.error(shown.functions);
        let of_error = match error {
            Some(error) if self.not_errors.contains(&error) => false,
            Some(error) => self.errors.is_empty() || self.errors.contains(&error),
            None => self.successes && self.errors.is_empty(),
        };
        let takes = |name: &String| glob::matches(name.as_bytes(), session.comm.as_bytes());
        of_error
            && shown.ns(&session.root).unwrap_or(0) >= self.least_ns
            && (self.names.is_empty() || self.names.iter().any(takes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_by_name_and_number() {
        for text in ["EINVAL", "22", "-22", "-EINVAL"] {
            assert_eq!(Filter::error(text), Ok(22), "{text}");
        }
        for text in ["", "-", "0", "5000", "EWHAT"] {
            assert!(Filter::error(text).is_err(), "{text}");
        }
    }
}
