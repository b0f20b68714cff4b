// SPDX-License-Identifier: GPL-2.0-or-later
//! Reads the machine's own apt sources, in both of their formats, to learn its Debian mirror.

/// One package source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Source {
    pub(super) uri: String,
    pub(super) suites: Vec<String>,
    pub(super) components: Vec<String>,
    pub(super) signed_by: String,
}

/// Reads the one-line format (`sources.list`): `deb [options] URI SUITE COMPONENT…`.
pub(super) fn parse_list(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_list_line).collect()
}

fn parse_list_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t', '[']))?.trim();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_string);
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    Some(Source {
        uri: words.next()?,
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: signed_by.unwrap_or_default().to_string(),
    })
}

/// Reads the paragraph format (`*.sources`): `Types:`, `URIs:`, `Suites:`, `Components:`.
pub(super) fn parse_deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    // Lines that are comments are dropped first: a comment does not end a paragraph.
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for paragraph in lines.split(|line| line.trim().is_empty()) {
        sources.extend(parse_paragraph(paragraph));
    }
    sources
}

fn parse_paragraph(lines: &[&str]) -> Vec<Source> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_string()));
        }
    }
    let field = |name: &str| {
        let hit = fields.iter().find(|(field, _)| field == name);
        hit.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let words = |name: &str| field(name).split_whitespace().map(str::to_string).collect::<Vec<_>>();
    if !words("types").contains(&"deb".to_string()) || field("enabled") == "no" {
        return Vec::new();
    }
    let source = |uri: String| Source {
        uri,
        suites: words("suites"),
        components: words("components"),
        signed_by: field("signed-by").to_string(),
    };
    words("uris").into_iter().map(source).collect()
}

/// The address of the Debian archive among the sources. A foreign repository may well name its
/// suite after a Debian release, so a source signed by Debian's own key counts most, then one
/// whose address ends in `/debian`, as those of Debian's mirrors do.
pub(super) fn debian_mirror(sources: &[Source]) -> Option<&str> {
    let is_release = |suite: &String| RELEASES.contains(&suite.as_str());
    let fits = |source: &&Source| {
        source.suites.iter().any(is_release)
            && source.components.iter().any(|component| component == "main")
            && !source.uri.starts_with("cdrom:")
    };
    let doubt = |source: &&Source| {
        let own_key = source.signed_by.contains("debian-archive");
        let own_path = source.uri.trim_end_matches('/').ends_with("/debian");
        (!own_key, !own_path)
    };
    sources.iter().filter(fits).min_by_key(doubt).map(|source| source.uri.as_str())
}

const RELEASES: [&str; 12] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "trixie-backports",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror_of(list: &str, deb822: &str) -> Option<String> {
        let mut sources = parse_list(list);
        sources.extend(parse_deb822(deb822));
        debian_mirror(&sources).map(str::to_string)
    }

    #[test]
    fn both_formats_give_the_mirror() {
        let list = "# a comment\n\
            deb-src http://src.example/debian bookworm main\n\
            deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian bookworm main contrib # x\n";
        assert_eq!(mirror_of(list, "").as_deref(), Some("http://m.example/debian"));
        let deb822 = "Types: deb deb-src\nURIs: http://m.example/debian/\n# inside\n\
            Suites: trixie\n trixie-updates\nComponents: main\n";
        assert_eq!(mirror_of("", deb822).as_deref(), Some("http://m.example/debian/"));
    }

    #[test]
    fn foreign_and_disabled_sources_are_passed_over() {
        let foreign = "deb https://vendor.example/apt bookworm main\n\
            deb http://vendor.example/node nodistro main\n\
            deb http://m.example/debian-security bookworm-security main\n";
        let own = "Types: deb\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main\n";
        assert_eq!(mirror_of(foreign, own).as_deref(), Some("http://m.example/debian"));
        let signed = "Types: deb\nURIs: http://m.example/pool\nSuites: bookworm\nComponents: main\n\
            Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
        assert_eq!(mirror_of(foreign, signed).as_deref(), Some("http://m.example/pool"));
        let disabled = format!("{own}Enabled: no\n");
        assert_eq!(mirror_of("", &disabled), None);
        assert_eq!(mirror_of("deb http://u.example/ubuntu noble main\n", ""), None);
        assert_eq!(mirror_of("deb cdrom:[Debian] bookworm main\ndebug\ndeb\n", ""), None);
    }
}
