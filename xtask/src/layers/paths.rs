//! The paths that a source file names, as far as its text tells: enough for `use` trees and qualified names.

/// A path with `self`, `super` and nested braces resolved, and the line where it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    segments: Vec<String>,
    pub line: usize,
}

impl Named {
    /// Whether the segments of `path` follow each other somewhere in this one.
    pub fn contains(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.split("::").collect();
        self.segments.windows(wanted.len()).any(|window| window == wanted.as_slice())
    }

    pub fn path(&self) -> String {
        self.segments.join("::")
    }
}

/// `shared/src/raft/log.rs` is `crate::raft::log`, `shared/src/raft/mod.rs` is `crate::raft`.
pub fn module_of(file: &str) -> Vec<String> {
    let inner = file.split_once("src/").map_or(file, |(_, inner)| inner).trim_end_matches(".rs");
    let names = inner.split('/').filter(|name| !matches!(*name, "mod" | "lib" | "main"));
    std::iter::once("crate").chain(names).map(str::to_owned).collect()
}

/// Every path in `source`, which is the text of `module`, but for those inside `#[cfg(test)]` items.
pub fn named_in(source: &str, module: &[String]) -> Vec<Named> {
    let tokens = without_tests(tokens(&without_text(source)));
    let mut reader = Reader { tokens: &tokens, at: 0, module, found: Vec::new() };
    while reader.at < reader.tokens.len() {
        match reader.tokens[reader.at].text.as_str() {
            "use" => {
                reader.at += 1;
                reader.tree(&[]);
            }
            word if is_word(word) => reader.tree(&[]),
            _ => reader.at += 1,
        }
    }
    reader.found
}

struct Token {
    text: String,
    line: usize,
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    module: &'a [String],
    found: Vec<Named>,
}

impl Reader<'_> {
    /// `a::b`, `a::{b, c::d}` or `{a, b}`; every leaf becomes one path that begins with `prefix`.
    fn tree(&mut self, prefix: &[String]) {
        let mut segments = prefix.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        while let Some(token) = self.tokens.get(self.at) {
            match token.text.as_str() {
                "::" => self.at += 1,
                "{" if self.at > 0 && matches!(self.tokens[self.at - 1].text.as_str(), "::" | "use") => {
                    return self.branches(&segments);
                }
                word if is_word(word) => {
                    segments.push(word.to_owned());
                    self.at += 1;
                    if self.tokens.get(self.at).is_none_or(|next| next.text != "::") {
                        break;
                    }
                }
                // `a::*`, a turbofish: the path so far is all there is to know.
                _ => break,
            }
        }
        if segments.len() > prefix.len() {
            self.found.push(Named { segments: self.resolved(&segments), line });
        } else {
            self.at += 1;
        }
    }

    fn branches(&mut self, prefix: &[String]) {
        self.at += 1;
        while let Some(token) = self.tokens.get(self.at) {
            match token.text.as_str() {
                "}" => {
                    self.at += 1;
                    return;
                }
                "{" => self.branches(prefix),
                word if is_word(word) => self.tree(prefix),
                _ => self.at += 1,
            }
        }
    }

    fn resolved(&self, segments: &[String]) -> Vec<String> {
        let relative = matches!(segments[0].as_str(), "self" | "super");
        let mut resolved = if relative { self.module.to_vec() } else { Vec::new() };
        for segment in segments {
            match segment.as_str() {
                "self" => {}
                "super" => {
                    resolved.pop();
                }
                name => resolved.push(name.to_owned()),
            }
        }
        resolved
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (line, text) in (1..).zip(source.lines()) {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if first.is_alphanumeric() || first == '_' {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token { text: rest[..length].to_owned(), line });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// Leaves out the item after each `#[cfg(test)]`: up to its closing brace, or to a semicolon before any brace.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        kept.push(token);
        let marked = kept.len() >= MARK.len()
            && kept[kept.len() - MARK.len()..].iter().zip(MARK).all(|(token, mark)| token.text == mark);
        if marked {
            let mut depth = 0;
            for token in tokens.by_ref() {
                match token.text.as_str() {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    ";" if depth == 0 => break,
                    _ => continue,
                }
                if depth == 0 {
                    break;
                }
            }
        }
    }
    kept
}

/// Comments, strings and characters become blanks; lines stay where they are.
fn without_text(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = text_length(rest);
        if length == 0 {
            // A whole word at once, or the `r` at the end of `for"` would begin a raw string.
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = word.max(first.len_utf8());
            out.push_str(&rest[..length]);
            rest = &rest[length..];
        } else {
            out.push(' ');
            out.extend(rest[..length].chars().filter(|c| *c == '\n'));
            rest = &rest[length..];
        }
    }
    out
}

/// The length of the comment or literal at the start of `rest`; 0 when there is none.
fn text_length(rest: &str) -> usize {
    let until =
        |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return until("*/", 2);
    }
    let literal = rest.strip_prefix('b').unwrap_or(rest);
    let prefix = rest.len() - literal.len();
    if let Some(raw) = literal.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            return until(&format!("\"{}", "#".repeat(hashes)), prefix + 2 + hashes);
        }
    }
    if literal.starts_with('"') {
        return prefix + quoted_length(literal, b'"');
    }
    // A lifetime has no closing quote right after one character.
    let is_character = literal.starts_with("'\\")
        || literal.strip_prefix('\'').is_some_and(|inner| inner.chars().nth(1) == Some('\''));
    if is_character { prefix + quoted_length(literal, b'\'') } else { 0 }
}

fn quoted_length(literal: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in literal.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return at + 1,
            _ => {}
        }
    }
    literal.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        let module = module_of("shared/src/raft/log.rs");
        named_in(source, &module).iter().map(Named::path).filter(|path| path.contains("::")).collect()
    }

    #[test]
    fn use_trees_are_spread_out() {
        assert_eq!(paths("use a::{b, c::{d, self}, *};"), ["a::b", "a::c::d", "a::c"]);
        assert_eq!(
            paths("pub(crate) use super::{message, super::ids};"),
            ["crate::raft::message", "crate::ids"]
        );
        assert_eq!(paths("use self::inner::X as Y;"), ["crate::raft::log::inner::X"]);
        assert_eq!(paths("let x = a::b::<c::D>(e::f);"), ["a::b", "c::D", "e::f"]);
    }

    #[test]
    fn words_in_comments_and_literals_are_not_code() {
        let source =
            "/* a::b */ // c::d\nlet s = \"e::f \\\" g::h\"; let r = r#\"i::j \" k::l\"#; let c = '\"'; m::n";
        assert_eq!(paths(source), ["m::n"]);
        assert_eq!(paths("fn f<'a>(x: &'a str) -> b::C {}"), ["b::C"]);
    }

    #[test]
    fn lines_survive() {
        let found = named_in("/* one\n two */\nuse a::b;", &module_of("shared/src/lib.rs"));
        assert_eq!(found.iter().map(|named| named.line).collect::<Vec<_>>(), [3]);
    }
}
