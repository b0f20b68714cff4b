// SPDX-License-Identifier: GPL-2.0-or-later
//! Names with a flavour: what follows the last triple underscore is the author's, and the kernel
//! knows the name without it.

/// The part of a name that the kernel knows.
///
/// The triple underscore has to stand alone: neither character beside it is an underscore.
pub(crate) fn essential(name: &str) -> &str {
    let bytes = name.as_bytes();
    let flavour = |w: &[u8]| w[0] != b'_' && &w[1..4] == b"___" && w[4] != b'_';
    match bytes.windows(5).rposition(flavour) {
        // The cut stands before an underscore, so it splits no character.
        Some(at) => name.get(..=at).unwrap_or(name),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flavours() {
        let check = |name, expected| assert_eq!(essential(name), expected);
        check("task_struct", "task_struct");
        check("task_struct___old", "task_struct");
        check("scx_bpf_dsq_insert___v2___compat", "scx_bpf_dsq_insert___v2");
        check("a___b", "a");
        check("___b", "___b");
        check("a___", "a___");
        check("a____b", "a____b");
        check("a___b____c", "a");
        check("é___x", "é");
        check("", "");
    }

    proptest! {
        /// The same, character by character from the end.
        #[test]
        fn like_the_slow_way(name in "[a_]{0,12}") {
            let c: Vec<char> = name.chars().collect();
            let mut expected = name.clone();
            for i in (0..c.len().saturating_sub(4)).rev() {
                if c[i] != '_' && c[i + 1..i + 4] == ['_', '_', '_'] && c[i + 4] != '_' {
                    expected = c[..=i].iter().collect();
                    break;
                }
            }
            prop_assert_eq!(essential(&name), expected);
        }
    }
}
