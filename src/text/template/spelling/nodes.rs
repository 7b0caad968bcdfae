//! The inside of a tag, taken apart.

/// Names that stand between values, not for one.
pub const BETWEEN: [&str; 14] =
    ["and", "or", "not", "in", "is", "if", "elif", "else", "for", "set", "import", "from", "recursive", "print"];

/// Longest first.
const OPERATORS: [&str; 8] = ["//", "**", "==", "!=", "<=", ">=", "->", ".."];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Space,
    /// A name, a number or a text.
    Word,
    Operator,
}

#[derive(Debug)]
pub enum Node<'a> {
    Token(Kind, &'a str),
    /// With its brackets.
    Group(char, Vec<Node<'a>>, char),
}

pub fn string_length(text: &str) -> usize {
    let mut chars = text.char_indices();
    let quote = chars.next().map(|(_, quote)| quote);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if Some(c) == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// The nodes of a tag's inside.
pub fn nodes_of(text: &str) -> Vec<Node<'_>> {
    nodes(&mut tokens(text).into_iter().peekable(), None).0
}

fn tokens(text: &str) -> Vec<(Kind, &str)> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let run = |goes: fn(char) -> bool| rest.find(|c| !goes(c)).unwrap_or(rest.len());
        let (kind, length) = if c.is_whitespace() {
            (Kind::Space, run(char::is_whitespace))
        } else if c == '\'' || c == '"' {
            (Kind::Word, string_length(rest))
        } else if c.is_ascii_digit() {
            (Kind::Word, number_length(rest))
        } else if c.is_alphanumeric() || c == '_' {
            (Kind::Word, run(|c| c.is_alphanumeric() || c == '_'))
        } else {
            let two = OPERATORS.iter().find(|operator| rest.starts_with(**operator));
            (Kind::Operator, two.map_or(c.len_utf8(), |operator| operator.len()))
        };
        let (token, after) = rest.split_at(length);
        all.push((kind, token));
        rest = after;
    }
    all
}

/// `1_000`, `1.5`, `1e-5`.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    while at < bytes.len() {
        at += match bytes[at] {
            b'.' if digit(at + 1) => 1,
            b'e' | b'E' if matches!(bytes.get(at + 1), Some(b'+' | b'-')) && digit(at + 2) => 2,
            c if c.is_ascii_alphanumeric() || c == b'_' => 1,
            _ => break,
        };
    }
    at
}

type Tokens<'a> = std::iter::Peekable<std::vec::IntoIter<(Kind, &'a str)>>;

/// The nodes up to the bracket that closes them, which is taken too, and how that bracket looks.
fn nodes<'a>(tokens: &mut Tokens<'a>, close: Option<char>) -> (Vec<Node<'a>>, bool) {
    let mut all = Vec::new();
    while let Some((kind, token)) = tokens.next() {
        let bracket = token.chars().next().filter(|_| kind == Kind::Operator);
        let closes = match bracket {
            Some('(') => Some(')'),
            Some('[') => Some(']'),
            Some('{') => Some('}'),
            _ => None,
        };
        if bracket.is_some() && bracket == close {
            return (all, true);
        }
        all.push(match (bracket, closes) {
            (Some(open), Some(end)) => {
                let (inner, closed) = nodes(tokens, Some(end));
                Node::Group(open, inner, if closed { end } else { '\0' })
            }
            _ => Node::Token(kind, token),
        });
    }
    (all, false)
}

impl<'a> Node<'a> {
    pub fn is_space(&self) -> bool {
        matches!(self, Node::Token(Kind::Space, _))
    }

    pub fn is(&self, token: &str) -> bool {
        matches!(self, Node::Token(_, text) if *text == token)
    }

    pub fn word(&self) -> Option<&'a str> {
        match self {
            Node::Token(Kind::Word, text) => Some(text),
            _ => None,
        }
    }

    pub fn group(&self, bracket: char) -> Option<&[Node<'a>]> {
        match self {
            Node::Group(open, inner, _) if *open == bracket => Some(inner),
            _ => None,
        }
    }
}

/// The same text again.
pub fn verbatim(nodes: &[Node<'_>]) -> String {
    let text = |node: &Node<'_>| match node {
        Node::Token(_, text) => (*text).to_owned(),
        Node::Group(open, inner, '\0') => format!("{open}{}", verbatim(inner)),
        Node::Group(open, inner, close) => format!("{open}{}{close}", verbatim(inner)),
    };
    nodes.iter().map(text).collect()
}

/// Whether one of these words is used anywhere as a name of its own.
pub fn names(nodes: &[Node<'_>], wanted: &[&str]) -> bool {
    nodes.iter().enumerate().any(|(at, node)| match node {
        Node::Token(Kind::Word, word) => wanted.contains(word) && !(at > 0 && nodes[at - 1].is(".")),
        Node::Token(..) => false,
        Node::Group(_, inner, _) => names(inner, wanted),
    })
}

/// A text as Python reads it between quotes, in escapes that the engine knows.
pub fn literal(quoted: &str) -> Result<String, String> {
    let Some(quote) = quoted.chars().next().filter(|_| quoted.contains('\\')) else {
        return Ok(quoted.to_owned());
    };
    let inside = quoted.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).unwrap_or_default();
    let mut out = String::from(quote);
    let mut chars = inside.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let letter = match chars.next() {
            // A line that goes on.
            Some('\n') | None => continue,
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('a') => '\x07',
            Some('b') => '\x08',
            Some('f') => '\x0c',
            Some('v') => '\x0b',
            Some(c @ ('\\' | '\'' | '"')) => c,
            Some(kind @ ('x' | 'u' | 'U')) => {
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let hex: String = chars.by_ref().take(digits).collect();
                let code =
                    Some(hex.as_str()).filter(|hex| hex.len() == digits && hex.bytes().all(|b| b.is_ascii_hexdigit()));
                let letter = code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
                letter.ok_or_else(|| format!("\\{kind}{hex} in {quoted} is no letter"))?
            }
            Some('N') => {
                return Err(format!("letters by their name, as in {quoted}, are not known: write the letter itself"));
            }
            Some(digit @ '0'..='7') => {
                let mut code = digit.to_digit(8).unwrap_or_default();
                for _ in 0..2 {
                    if let Some(digit) = chars.peek().and_then(|digit| digit.to_digit(8)) {
                        code = code * 8 + digit;
                        chars.next();
                    }
                }
                char::from_u32(code).unwrap_or_default()
            }
            Some(other) => {
                out.push_str("\\\\");
                other
            }
        };
        match letter {
            '\n' => out.push_str("\\n"),
            '\\' => out.push_str("\\\\"),
            letter if letter == quote => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
    }
    out.push(quote);
    Ok(out)
}
