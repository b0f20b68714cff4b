// SPDX-License-Identifier: GPL-2.0-or-later
//! Patterns of names.

/// What functions a pattern is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Functions of the kernel and of its modules.
    Kernel,
    /// BPF programs.
    Programs,
    /// Callbacks of the scheduler that is attached.
    Callbacks,
}

/// A pattern: `GLOB` or `GLOB [MODULE]` for functions of the kernel, `bpf:GLOB` for BPF programs,
/// `ops:GLOB` for callbacks of the attached scheduler. `*` stands for any letters, `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    of: Of,
    glob: String,
    module: Option<String>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Words that say what is wanted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (of, rest) = match text.split_once(':') {
            Some(("bpf", rest)) => (Of::Programs, rest),
            Some(("ops", rest)) => (Of::Callbacks, rest),
            Some((what, _)) => {
                return Err(format!(
                    "'{what}:' is not known: bpf:GLOB is for BPF programs, ops:GLOB for callbacks"
                ));
            }
            None => (Of::Kernel, text),
        };
        let (glob, module) = match rest.split_once('[') {
            Some(_) if of != Of::Kernel => {
                return Err("only functions of the kernel are of modules".to_owned());
            }
            Some((glob, module)) => {
                let module =
                    module.strip_suffix(']').ok_or("a module stands in brackets: 'f* [m]'")?;
                (glob.trim(), Some(module.to_owned()))
            }
            None => (rest.trim(), None),
        };
        if glob.is_empty() {
            return Err("a pattern of names is wanted, such as 'bpf_prog_*'".to_owned());
        }
        Ok(Self { text: text.to_owned(), of, glob: glob.to_owned(), module })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is for functions of the kernel.
    pub(super) fn is_of_kernel(&self) -> bool {
        self.of == Of::Kernel
    }

    /// Whether a function of the kernel, or of a module, is meant.
    pub(super) fn takes_function(&self, name: &str, module: Option<&str>) -> bool {
        self.of == Of::Kernel
            && self.module.as_ref().is_none_or(|wanted| {
                module.is_some_and(|module| matches(wanted.as_bytes(), module.as_bytes()))
            })
            && matches(self.glob.as_bytes(), name.as_bytes())
    }

    /// Whether a BPF program is meant, which may be a callback.
    pub(super) fn takes_program(&self, name: &str, callback: Option<&str>) -> bool {
        match (self.of, callback) {
            (Of::Programs, _) => matches(self.glob.as_bytes(), name.as_bytes()),
            (Of::Callbacks, Some(callback)) => matches(self.glob.as_bytes(), callback.as_bytes()),
            _ => false,
        }
    }
}

/// Whether a glob takes a whole name. Linear in both, but for the last `*`, to which it goes back.
pub(super) fn matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut back = None;
    while seen < name.len() {
        match glob.get(at) {
            Some(b'*') => {
                back = Some((at, seen));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    (at, seen) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    glob[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_take_whole_names() {
        for (glob, name, takes) in [
            ("bpf_check", "bpf_check", true),
            ("bpf_check", "bpf_checks", false),
            ("bpf_*", "bpf_", true),
            ("*check*", "do_check_common", true),
            ("do_*_c*n", "do_check_common", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("?o_?heck", "do_check", true),
            ("?", "", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(glob.as_bytes(), name.as_bytes()), takes, "{glob} {name}");
        }
    }

    #[test]
    fn patterns_say_of_what() {
        let module = Pattern::parse("ext4_* [ext?]").unwrap();
        assert!(module.takes_function("ext4_read", Some("ext4")));
        assert!(!module.takes_function("ext4_read", None));
        let callback = Pattern::parse("ops:disp*").unwrap();
        assert!(callback.takes_program("simple_dispatch", Some("dispatch")));
        assert!(!callback.takes_program("dispatch", None));
        assert!(!callback.takes_function("dispatch", None));
        assert!(Pattern::parse("bpf:*").unwrap().takes_program("anything", None));
        for bad in ["", "bpf:", "file:*.c", "a [b", "bpf:a [b]"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
