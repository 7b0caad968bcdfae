//! What Jinja can spell and the template engine cannot, put in its words before it is compiled.
//!
//! Four things: `{% generation %}`, a plus in front of a value, `%`, which formats a text in Python, and what a loop goes
//! through, whose length the engine does not know of a text. Only tags are looked into; what stands around them, in strings, in comments or between `raw` and `endraw` stays as it is.

/// The filter that does the work of `%`.
pub const PERCENT: &str = "__percent";

/// The filter of what a loop goes through.
pub const ITEMS: &str = "__items";

/// Names that stand between values, not for one.
const BETWEEN: [&str; 14] =
    ["and", "or", "not", "in", "is", "if", "elif", "else", "for", "set", "import", "from", "recursive", "print"];

/// Longest first.
const OPERATORS: [&str; 8] = ["//", "**", "==", "!=", "<=", ">=", "->", ".."];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Space,
    /// A name, a number or a text.
    Word,
    Operator,
}

#[derive(Debug)]
enum Node<'a> {
    Token(Kind, &'a str),
    /// With its brackets.
    Group(char, Vec<Node<'a>>, char),
}

/// The template in the engine's words.
pub fn translate(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut raw = false;
    while let Some(start) = rest.find('{') {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let length = match tag.as_bytes().get(1) {
            Some(b'#') if !raw => tag.find("#}").map_or(tag.len(), |end| end + 2),
            Some(b'{') if !raw => tag_length(tag, "}}"),
            Some(b'%') => tag_length(tag, "%}"),
            _ => 1,
        };
        let (tag, after) = tag.split_at(length);
        rest = after;
        match block_name(tag) {
            Some("endraw") => raw = false,
            _ if raw => {
                // Not a tag: look again right behind its brace.
                out.push('{');
                rest = &source[source.len() - after.len() - tag.len() + 1..];
                continue;
            }
            Some("raw") => raw = true,
            Some("generation") => {
                // It marks assistant text for loss masks; masks are made by position here. A `with` keeps the white space
                // control of the tag and, like it, keeps to itself what is set inside.
                out.push_str(&tag.replacen("generation", "with", 1));
                continue;
            }
            Some("endgeneration") => {
                out.push_str(&tag.replacen("endgeneration", "endwith", 1));
                continue;
            }
            _ => {}
        }
        let operators = || tag.len() > 4 && !tag.starts_with("{#") && tag[2..].contains(['%', '+']);
        if block_name(tag) == Some("for") || operators() {
            out.push_str(&retold(tag));
        } else {
            out.push_str(tag);
        }
    }
    out.push_str(rest);
    out
}

/// Bytes up to the end of the tag: the first closing outside of strings and brackets.
fn tag_length(tag: &str, close: &str) -> usize {
    let bytes = tag.as_bytes();
    let (mut at, mut depth) = (2, 0_usize);
    while at < bytes.len() {
        if depth == 0 && tag[at..].starts_with(close) {
            return at + close.len();
        }
        match bytes[at] {
            b'\'' | b'"' => {
                at += string_length(&tag[at..]);
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += tag[at..].chars().next().map_or(1, char::len_utf8);
    }
    tag.len()
}

fn string_length(text: &str) -> usize {
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

/// The first word of a block tag.
fn block_name(tag: &str) -> Option<&str> {
    let inside = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let inside = inside.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
    inside.split(|c: char| !(c.is_alphanumeric() || c == '_')).next()
}

/// A tag with its operators in the engine's words.
fn retold(tag: &str) -> String {
    let closed = tag.ends_with("%}") || tag.ends_with("}}");
    let (open, inside) = tag.split_at(2);
    let (inside, close) = if closed { inside.split_at(inside.len() - 2) } else { (inside, "") };
    // White space control is no operator.
    let marks = |c: char| c == '-' || c == '+';
    let lead = usize::from(inside.starts_with(marks));
    let trail = usize::from(inside.len() > lead && inside.ends_with(marks));
    let (body, end) = inside[lead..].split_at(inside.len() - lead - trail);
    let mut tokens = tokens(body).into_iter().peekable();
    let nodes = nodes(&mut tokens, None).0;
    format!("{open}{}{}{end}{close}", &inside[..lead], with_items(&nodes).unwrap_or_else(|| written(&nodes)))
}

/// A loop that knows how much it goes through: `for x in __items(y) if z`.
fn with_items(nodes: &[Node<'_>]) -> Option<String> {
    let word = |node: &Node<'_>, words: &[&str]| matches!(node, Node::Token(Kind::Word, text) if words.contains(text));
    let space = |node: &Node<'_>| matches!(node, Node::Token(Kind::Space, _));
    nodes.iter().find(|node| !space(node)).filter(|node| word(node, &["for"]))?;
    let begins = nodes.iter().position(|node| word(node, &["in"]))? + 1;
    let ends = nodes[begins..].iter().position(|node| word(node, &["if", "recursive"]));
    let (looped, rest) = nodes[begins..].split_at(ends.unwrap_or(nodes.len() - begins));
    let looped = written(looped);
    let blanks = &looped[looped.trim_end().len()..];
    Some(format!("{} ({})|{ITEMS}{blanks}{}", written(&nodes[..begins]), looped.trim(), written(rest)))
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

/// How far to the left an operand of `%` reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Space,
    /// Part of an operand.
    On,
    /// The operand begins behind it.
    Stop,
}

fn written(nodes: &[Node<'_>]) -> String {
    let mut out: Vec<(Reach, String)> = Vec::new();
    let mut value_before = false;
    let mut at = 0;
    while let Some(node) = nodes.get(at) {
        at += 1;
        match node {
            Node::Token(Kind::Space, text) => out.push((Reach::Space, (*text).to_owned())),
            Node::Token(Kind::Operator, "+") if !value_before => out.push((Reach::Space, " ".to_owned())),
            Node::Token(Kind::Operator, "%") if value_before => {
                let end = at + operand_length(&nodes[at..]);
                let right = written(&nodes[at..end]);
                at = end;
                let start = out.iter().rposition(|(reach, _)| *reach == Reach::Stop).map_or(0, |stop| stop + 1);
                let start = start + out[start..].iter().take_while(|(reach, _)| *reach == Reach::Space).count();
                let left: String = out.drain(start..).map(|(_, text)| text).collect();
                out.push((Reach::On, format!("({})|{PERCENT}({right})", left.trim_end())));
                value_before = true;
            }
            Node::Token(kind, text) => {
                let value = *kind == Kind::Word && !BETWEEN.contains(text);
                let binds = matches!(*text, "." | "|" | "*" | "/" | "//" | "**") || (*text == "-" && !value_before);
                out.push((if value || binds { Reach::On } else { Reach::Stop }, (*text).to_owned()));
                value_before = value;
            }
            group @ Node::Group(..) => {
                out.push((Reach::On, node_text(group)));
                value_before = true;
            }
        }
    }
    out.into_iter().map(|(_, text)| text).collect()
}

fn node_text(node: &Node<'_>) -> String {
    match node {
        Node::Token(_, text) => (*text).to_owned(),
        Node::Group(open, inner, '\0') => format!("{open}{}", written(inner)),
        Node::Group(open, inner, close) => format!("{open}{}{close}", written(inner)),
    }
}

/// Nodes of the value that begins here: signs, a value, what is behind it by dot, bracket or filter, and its powers.
fn operand_length(nodes: &[Node<'_>]) -> usize {
    let mut wants_value = true;
    let mut length = 0;
    for (at, node) in nodes.iter().enumerate() {
        match node {
            Node::Token(Kind::Space, _) => continue,
            Node::Token(Kind::Operator, "-" | "+") if wants_value => {}
            Node::Token(Kind::Operator, "." | "|" | "**") if !wants_value => wants_value = true,
            Node::Token(Kind::Word, word) if wants_value && !BETWEEN.contains(word) => wants_value = false,
            Node::Group(..) if wants_value => wants_value = false,
            // A call or a place; white space in between changes nothing.
            Node::Group('(' | '[', ..) => {}
            _ => break,
        }
        length = at + 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tags_are_looked_into() {
        for same in [
            "a % b {% raw %}{% generation %}{{ '%s' % x }}{% endraw %} + c",
            "{{ '{% generation %}' }}{# {% generation %} #}",
            "{% if a %}100 % {{ b }}{% endif %}{%- set x = a - b + c -%}",
            "{{ {'a': {'b': '}}'}}['a'] + \"%}\" }}",
        ] {
            assert_eq!(translate(same), same);
        }
        assert_eq!(translate("{%- generation -%}a{% endgeneration +%}"), "{%- with -%}a{% endwith +%}");
        assert_eq!(
            translate("{% raw %}{{ {% endraw %}{% generation %}{% endgeneration %}"),
            "{% raw %}{{ {% endraw %}{% with %}{% endwith %}"
        );
    }

    #[test]
    fn percent_keeps_its_place_and_loops_know_their_length() {
        for (source, expected) in [
            ("'%s' % x", "('%s')|__percent(x)"),
            ("a + b % c", "a + (b)|__percent(c)"),
            ("a * b % c - d", "(a * b)|__percent(c) - d"),
            ("a - -b % 2 == 0", "a - (-b)|__percent(2) == 0"),
            ("a % b % c", "((a)|__percent(b))|__percent(c)"),
            ("x if i % 2 == 0 else y", "x if (i)|__percent(2) == 0 else y"),
            ("f(a % 2, b)[c % 3]", "f((a)|__percent(2), b)[(c)|__percent(3)]"),
            ("m.n | length % l.m[0] | int + 1", "(m.n | length)|__percent(l.m[0] | int) + 1"),
            ("'%s-%d' % (x, +3)", "('%s-%d')|__percent((x,  3))"),
        ] {
            // Spaces in front of an operand stand inside its brackets.
            let got = translate(&format!("{{{{ {source} }}}}")).replace("__percent( ", "__percent(");
            assert_eq!(got.replace("  ", " "), format!("{{{{ {expected} }}}}").replace("  ", " "), "{source}");
        }
        for (source, expected) in [
            ("{%- for c in 'a b' -%}", "{%- for c in ('a b')|__items -%}"),
            (
                "{% for k, v in x|items if v in k recursive %}",
                "{% for k, v in (x|items)|__items if v in k recursive %}",
            ),
            ("{% for x in a + b, c[1:] %}", "{% for x in (a + b, c[1:])|__items %}"),
        ] {
            assert_eq!(translate(source), expected);
        }
        assert_eq!(translate("{% if loop.index0 % 2 == 1 %}"), "{% if (loop.index0)|__percent( 2) == 1 %}");
    }
}
