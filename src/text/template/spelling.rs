//! What Jinja can spell and the template engine cannot, put in its words before it is compiled.
//!
//! `{% generation %}`; what a loop goes through, whose length the engine does not know of a text; operators that work
//! as Python's do (`%`, `~`, a plus in front of a value); names that Python's own types have; texts with Python's
//! escapes; arguments of macros that begin as others are. What would come out otherwise than in Jinja is refused. Only
//! tags are looked into; what stands around them, in comments or between `raw` and `endraw` stays as it is.

mod marked;
mod nodes;
mod operators;

use nodes::{Node, names, nodes_of, string_length, verbatim};
use operators::written;

/// The filter that does the work of `%`.
pub const PERCENT: &str = "__percent";

/// The filter that does the work of `~`.
pub const CONCAT: &str = "__concat";

/// The filter of what a loop goes through.
pub const ITEMS: &str = "__items";

/// The template in the engine's words.
///
/// # Errors
/// If it asks for what is not known here.
pub fn translate(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut raw = false;
    let mut macros = 0_usize;
    let mut marked = Vec::new();
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
            Some("macro") => macros += 1,
            Some("endmacro") => macros = macros.saturating_sub(1),
            Some("generation") => {
                // It marks assistant text for loss masks; masks are made by position here. A `with` keeps the white
                // space control of the tag and, like it, keeps to itself what is set inside.
                out.push_str(&tag.replacen("generation", "with", 1));
                continue;
            }
            Some("endgeneration") => {
                out.push_str(&tag.replacen("endgeneration", "endwith", 1));
                continue;
            }
            _ => {}
        }
        if tag.len() < 4 || tag.starts_with("{#") {
            out.push_str(tag);
            continue;
        }
        let tag = Tag::new(tag);
        if macros > 0 && names(&tag.nodes, &["varargs", "kwargs"]) {
            return Err(
                "macros that take any arguments (varargs, kwargs) are not known: give each argument a name".into()
            );
        }
        marked::check(&tag.nodes, &mut marked)?;
        out.push_str(&tag.retold()?);
    }
    out.push_str(rest);
    Ok(out)
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

/// The first word of a block tag.
fn block_name(tag: &str) -> Option<&str> {
    let inside = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let inside = inside.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
    inside.split(|c: char| !(c.is_alphanumeric() || c == '_')).next()
}

/// A tag and what stands in it.
struct Tag<'a> {
    /// With the mark of white space control.
    open: &'a str,
    nodes: Vec<Node<'a>>,
    close: &'a str,
}

impl<'a> Tag<'a> {
    fn new(tag: &'a str) -> Self {
        let closed = tag.ends_with("%}") || tag.ends_with("}}");
        let marks = |c: char| c == '-' || c == '+';
        let inside = &tag[2..if closed { tag.len() - 2 } else { tag.len() }];
        let lead = usize::from(inside.starts_with(marks));
        let trail = usize::from(closed && inside.len() > lead && inside.ends_with(marks));
        let (open, rest) = tag.split_at(2 + lead);
        let (body, close) = rest.split_at(inside.len() - lead - trail);
        Self { open, nodes: nodes_of(body), close }
    }

    fn retold(&self) -> Result<String, String> {
        let Self { open, nodes, close } = self;
        let first = nodes.iter().find_map(Node::word).filter(|_| open.starts_with("{%"));
        let body = match first {
            Some("for") => self.with_items()?,
            Some("set") => {
                // The names that are set stay.
                let sign = nodes.iter().position(|node| node.is("=")).unwrap_or(nodes.len());
                format!("{}{}", verbatim(&nodes[..sign]), written(&nodes[sign..])?)
            }
            Some("macro") => {
                if let Some(retold) = self.with_late_defaults()? {
                    return Ok(retold);
                }
                written(nodes)?
            }
            // Values by commas are a tuple.
            None if nodes.iter().any(|node| node.is(",")) => format!("({})", written(nodes)?),
            _ => written(nodes)?,
        };
        Ok(format!("{open}{body}{close}"))
    }

    /// A loop that knows how much it goes through: `for x in __items(y) if z`.
    fn with_items(&self) -> Result<String, String> {
        let Some(sign) = self.nodes.iter().position(|node| node.is("in")) else {
            return written(&self.nodes);
        };
        let (target, rest) = self.nodes.split_at(sign + 1);
        let ends = rest.iter().position(|node| node.is("if") || node.is("recursive")).unwrap_or(rest.len());
        let (looped, rest) = rest.split_at(ends);
        let looped = written(looped)?;
        let blanks = &looped[looped.trim_end().len()..];
        Ok(format!("{} ({})|{ITEMS}{blanks}{}", verbatim(target), looped.trim(), written(rest)?))
    }

    /// A macro whose arguments begin as others are: the engine knows none of them yet where it looks for it.
    fn with_late_defaults(&self) -> Result<Option<String>, String> {
        let Some((at, params)) = self.nodes.iter().enumerate().find_map(|(at, node)| Some((at, node.group('(')?)))
        else {
            return Ok(None);
        };
        let params: Vec<(&str, &[Node<'_>])> = params
            .split(|node| node.is(","))
            .filter_map(|param| {
                let sign = param.iter().position(|node| node.is("=")).unwrap_or(param.len());
                Some((param[..sign].iter().find_map(Node::word)?, param.get(sign + 1..).unwrap_or_default()))
            })
            .collect();
        let refers = |(at, (_, default)): (usize, &(&str, &[Node<'_>]))| {
            let earlier: Vec<&str> = params[..at].iter().map(|(name, _)| *name).collect();
            names(default, &earlier)
        };
        if !params.iter().enumerate().any(refers) {
            return Ok(None);
        }
        let all: Vec<&str> = params.iter().map(|(name, _)| *name).collect();
        let mut retold = format!("{}{}({}) ", self.open, verbatim(&self.nodes[..at]), all.join(", "));
        for (name, default) in params.iter().filter(|(_, default)| !default.is_empty()) {
            let default = written(default)?;
            retold.extend(["%}{% set ", name, " = ", name, " if ", name, " is defined else (", default.trim(), ") "]);
        }
        Ok(Some(retold + self.close))
    }
}

#[cfg(test)]
mod tests {
    fn translate(source: &str) -> String {
        super::translate(source).unwrap()
    }

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
            ("'%s-%d' % (x, +3)", "('%s-%d')|__percent((x, - -3))"),
            ("a ~ b % c ~ d * -e + f", "(a)|__concat((b)|__percent(c), d * -e) + f"),
            (
                "x.items[0].name.title() ~ y['keys'] ~ loop.index",
                "(x.__attr('items')[0].name.title())|__concat(y.__item('keys'), loop.index)",
            ),
        ] {
            // Spaces in front of an operand stand inside its brackets.
            let got = translate(&format!("{{{{ {source} }}}}")).replace("__percent( ", "__percent(");
            let got = got.replace("__concat( ", "__concat(");
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
