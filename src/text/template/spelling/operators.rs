//! Operators, names and texts in the engine's words.

use super::{
    super::attributes::{BRACKETS, DOT, is_method},
    CONCAT, PERCENT,
    nodes::{BETWEEN, Kind, Node, literal},
};

/// How far to the left an operand of `%` or `~` reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Space,
    /// Part of an operand.
    On,
    /// The operand begins behind it.
    Stop,
}

/// An expression, as far as it was written.
#[derive(Default)]
struct Written {
    parts: Vec<(Reach, String)>,
    value_before: bool,
}

impl Written {
    fn push(&mut self, reach: Reach, text: impl Into<String>) {
        self.parts.push((reach, text.into()));
    }

    fn value(&mut self, text: String) {
        self.push(Reach::On, text);
        self.value_before = true;
    }

    /// Puts a filter behind the operand that ends here.
    fn filter(&mut self, filter: &str, args: &str) {
        let parts = &self.parts;
        let start = parts.iter().rposition(|(reach, _)| *reach == Reach::Stop).map_or(0, |stop| stop + 1);
        let start = start + parts[start..].iter().take_while(|(reach, _)| *reach == Reach::Space).count();
        let left: String = self.parts.drain(start..).map(|(_, text)| text).collect();
        self.value(format!("({})|{filter}({args})", left.trim_end()));
    }
}

/// # Errors
/// If a text has an escape that stands for nothing.
pub fn written(nodes: &[Node<'_>]) -> Result<String, String> {
    let mut out = Written::default();
    let mut at = 0;
    while let Some(node) = nodes.get(at) {
        at += 1;
        match node {
            Node::Token(Kind::Space, text) => out.push(Reach::Space, *text),
            // A plus in front of a value makes a number of it, as two minuses do.
            Node::Token(Kind::Operator, "+") if !out.value_before => out.push(Reach::On, "- -"),
            Node::Token(Kind::Operator, "%") if out.value_before => {
                let end = at + operand_length(&nodes[at..], false);
                out.filter(PERCENT, &written(&nodes[at..end])?);
                at = end;
            }
            Node::Token(Kind::Operator, "~") if out.value_before => {
                let mut operands = Vec::new();
                loop {
                    let end = at + operand_length(&nodes[at..], true);
                    operands.push(written(&nodes[at..end])?);
                    let blanks = nodes[end..].iter().take_while(|node| node.is_space()).count();
                    let goes_on = nodes.get(end + blanks).is_some_and(|node| node.is("~"));
                    at = if goes_on { end + blanks + 1 } else { end };
                    if !goes_on {
                        break;
                    }
                }
                out.filter(CONCAT, &operands.join(","));
            }
            Node::Token(Kind::Operator, ".") if out.value_before => match method_name(&nodes[at..]) {
                Some(name) if out.parts.last().is_none_or(|(_, text)| text != "loop") => {
                    at += 1 + nodes[at..].iter().take_while(|node| node.is_space()).count();
                    out.value(format!(".{DOT}('{name}')"));
                }
                _ => {
                    out.push(Reach::On, ".");
                    out.value_before = false;
                }
            },
            Node::Token(Kind::Word, text) if text.starts_with(['\'', '"']) => out.value(literal(text)?),
            Node::Token(kind, text) => {
                let value = *kind == Kind::Word && !BETWEEN.contains(text);
                let tests = *text == "is"
                    || (*text == "not"
                        && out
                            .parts
                            .iter()
                            .rev()
                            .find(|(reach, _)| *reach != Reach::Space)
                            .is_some_and(|(_, text)| text == "is"));
                let binds = matches!(*text, "." | "|" | "*" | "/" | "//" | "**")
                    || (*text == "-" && !out.value_before)
                    || tests;
                out.push(if value || binds { Reach::On } else { Reach::Stop }, *text);
                out.value_before = value;
            }
            Node::Group(open, inner, close) => {
                let text = match method_in_brackets(*open, inner, &nodes[at..]) {
                    Some(name) if out.value_before => format!(".{BRACKETS}('{name}')"),
                    _ if *close == '\0' => format!("{open}{}", written(inner)?),
                    _ => format!("{open}{}{close}", written(inner)?),
                };
                out.value(text);
            }
        }
    }
    Ok(out.parts.into_iter().map(|(_, text)| text).collect())
}

/// The name behind a dot, if a method is called so and this one is not called here.
fn method_name<'a>(behind: &[Node<'a>]) -> Option<&'a str> {
    let mut rest = behind.iter().filter(|node| !node.is_space());
    let name = rest.next()?.word().filter(|name| is_method(name))?;
    rest.next().is_none_or(|next| next.group('(').is_none()).then_some(name)
}

/// The same for a name in brackets.
fn method_in_brackets<'a>(open: char, inner: &[Node<'a>], behind: &[Node<'a>]) -> Option<&'a str> {
    let mut inside = inner.iter().filter(|node| open == '[' && !node.is_space());
    let quoted = inside.next()?.word()?;
    let name = quoted.strip_prefix(['\'', '"'])?.strip_suffix(['\'', '"']).filter(|name| is_method(name))?;
    let called = behind.iter().find(|node| !node.is_space()).is_some_and(|next| next.group('(').is_some());
    (inside.next().is_none() && !called).then_some(name)
}

/// Nodes of the value that begins here: signs, a value, what is behind it by dot, bracket, filter or test, and its
/// powers; of a product its factors too.
fn operand_length(nodes: &[Node<'_>], product: bool) -> usize {
    let mut wants_value = true;
    let mut test = false;
    let mut length = 0;
    for (at, node) in nodes.iter().enumerate() {
        match node {
            Node::Token(Kind::Space, _) => continue,
            Node::Token(Kind::Word, "is") if !wants_value => test = true,
            Node::Token(Kind::Word, "not") if test => {}
            // The name of a test.
            Node::Token(Kind::Word, _) if test => test = false,
            Node::Token(Kind::Operator, "-" | "+") if wants_value => {}
            Node::Token(Kind::Operator, "." | "|" | "**") if !wants_value => wants_value = true,
            Node::Token(Kind::Operator, "*" | "/" | "//" | "%") if product && !wants_value => wants_value = true,
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
