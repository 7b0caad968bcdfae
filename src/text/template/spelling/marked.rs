//! Texts that were escaped or marked as safe.
//!
//! Jinja has a kind of text of its own for them, which escapes whatever it is put together with. A prompt has no use
//! for that: here they are texts like others, and where that would make a difference the template is refused.

use super::nodes::{BETWEEN, Kind, Node};

/// The filters that make such a text.
const MARKS: [&str; 4] = ["e", "escape", "forceescape", "safe"];

/// Filters whose result is the same for a text of either kind, and of no such kind itself.
const ENDS: [&str; 6] = ["tojson", "length", "count", "urlencode", "striptags", "wordcount"];

const REASON: &str = "it works on a text that was escaped or marked as safe; Jinja then escapes more than was asked for, \
                      which is not done here: write that text by itself or with ~, or leave the filter out";

/// Refuses what would come out otherwise, and learns which names are set to such a text.
pub fn check(nodes: &[Node<'_>], marked: &mut Vec<String>) -> Result<(), String> {
    let nodes: Vec<&Node<'_>> = nodes.iter().filter(|node| !node.is_space()).collect();
    let sets = nodes.first().is_some_and(|node| node.is("set"));
    let sign = nodes.iter().position(|node| sets && node.is("="));
    let value = &nodes[sign.map_or(0, |sign| sign + 1)..];
    if is_marked(value, marked)?
        && let Some(name) = sign.and_then(|sign| nodes[..sign].iter().rev().find_map(|node| node.word()))
    {
        marked.push(name.to_owned());
    }
    Ok(())
}

fn is_marked(nodes: &[&Node<'_>], marked: &[String]) -> Result<bool, String> {
    let mut any = false;
    for (at, node) in nodes.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| nodes.get(before));
        let follows = |token: &str| before.is_some_and(|before| before.is(token));
        let behind_value = before.is_some_and(|before| is_value(before));
        let end = match node {
            Node::Token(Kind::Word, word) if follows("|") => MARKS.contains(word).then_some(at),
            Node::Token(Kind::Word, word) => {
                let is_name = !follows("is") && nodes.get(at + 1).is_none_or(|next| !next.is("="));
                (is_name && marked.iter().any(|name| name == word)).then_some(at)
            }
            Node::Token(..) => None,
            Node::Group(open, inner, _) => {
                let inner: Vec<&Node<'_>> = inner.iter().filter(|node| !node.is_space()).collect();
                let holds = is_marked(&inner, marked)?;
                let brackets = *open == '(' && !behind_value && !inner.iter().any(|node| node.is(","));
                if holds && !brackets {
                    return Err(REASON.to_owned());
                }
                holds.then_some(at)
            }
        };
        if let Some(end) = end {
            any |= goes_well(nodes, end)?;
        }
    }
    Ok(any)
}

/// Whether the value that ends here stays such a text.
fn goes_well(nodes: &[&Node<'_>], mut end: usize) -> Result<bool, String> {
    // An operator in front of it takes it in.
    for node in nodes[..end].iter().rev() {
        match node {
            Node::Token(Kind::Operator, "+" | "*" | "%") => return Err(REASON.to_owned()),
            Node::Token(Kind::Operator, "." | "|") | Node::Group(..) => {}
            Node::Token(Kind::Word, word) if !BETWEEN.contains(word) => {}
            Node::Token(..) => break,
        }
    }
    loop {
        if nodes.get(end + 1).is_some_and(|next| next.group('(').is_some()) {
            end += 1;
        }
        match nodes.get(end + 1) {
            Some(Node::Token(Kind::Operator, "|")) => match nodes.get(end + 2).and_then(|node| node.word()) {
                Some(filter) if MARKS.contains(&filter) || filter == "string" => end += 2,
                Some(filter) if ENDS.contains(&filter) => return Ok(false),
                _ => return Err(REASON.to_owned()),
            },
            Some(Node::Token(Kind::Operator, "+" | "*" | "%" | ".") | Node::Group('[', ..)) => {
                return Err(REASON.to_owned());
            }
            Some(Node::Token(_, "~" | "is" | "in" | "not" | "==" | "!=")) => return Ok(false),
            _ => return Ok(true),
        }
    }
}

fn is_value(node: &Node<'_>) -> bool {
    match node {
        Node::Token(Kind::Word, word) => !BETWEEN.contains(word),
        Node::Token(..) => false,
        Node::Group(..) => true,
    }
}
