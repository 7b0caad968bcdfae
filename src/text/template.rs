//! Chat templates, rendered as Transformers renders them.
//!
//! Source: `transformers/utils/chat_template_utils.py`: Jinja2 with `trim_blocks`, `lstrip_blocks`, loop controls,
//! `raise_exception`, `strftime_now` and a `tojson` that escapes no HTML. The template's own last newline is dropped.

use minijinja::{
    Environment, Error, ErrorKind, Value, context,
    syntax::SyntaxConfig,
    value::{Kwargs, ValueKind},
};

use super::{TextError, folder::Specials};
use crate::data::Turn;

/// Instructions a template may spend on one conversation: far more than any real one, and finite.
const FUEL: u64 = 20_000_000;

const NAME: &str = "chat_template";

/// A compiled chat template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
}

/// What a template said through `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

impl Template {
    pub fn compile(source: &str) -> Result<Self, TextError> {
        let mut environment = Environment::new();
        environment.set_syntax(transformers_syntax()?);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", tojson);
        environment
            .add_template_owned(NAME, without_generation_marks(source))
            .map_err(|error| TextError::Template(in_words(&error)))?;
        Ok(Self { environment })
    }

    pub fn render(
        &self,
        turns: &[Turn],
        specials: &Specials,
        generation_prompt: bool,
    ) -> Result<String, TextError> {
        let messages: Vec<Value> = turns
            .iter()
            .map(|turn| {
                Value::from_pairs([
                    ("role", turn.role.name()),
                    ("content", turn.content.as_str()),
                ])
            })
            .collect();
        let variables = context! {
            messages,
            add_generation_prompt => generation_prompt,
            tools => (),
            documents => (),
            ..Value::from_pairs(specials.texts())
        };
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(variables))
            .map_err(|error| match refusal(&error) {
                Some(reason) => TextError::Refused(reason),
                None => TextError::Template(in_words(&error)),
            })
    }
}

fn transformers_syntax() -> Result<SyntaxConfig, TextError> {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .map_err(|error| TextError::Template(error.to_string()))
}

/// `{% generation %}` marks assistant text for loss masks; masks are made by position here, so it may go. It becomes an
/// `if true`, which keeps the white space control of its tags.
fn without_generation_marks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else {
            break;
        };
        let (tag, after) = rest[start..].split_at(length);
        out.push_str(&rest[..start]);
        let word = tag[2..].trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        match word {
            "generation" => out.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endif")),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(
        Error::new(ErrorKind::InvalidOperation, "raised by the template")
            .with_source(Refusal(message)),
    )
}

fn strftime_now(format: String) -> Result<String, Error> {
    jiff::fmt::strtime::format(&format, &jiff::ZonedDateTime::now())
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, "strftime_now").with_source(error))
}

/// Python's `json.dumps`, `ensure_ascii=False` unless asked for, with its separators and keyword arguments.
fn tojson(value: &Value, kwargs: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    let ensure_ascii: Option<bool> = kwargs.get("ensure_ascii")?;
    let sort_keys: Option<bool> = kwargs.get("sort_keys")?;
    let separators: Option<Vec<String>> = kwargs.get("separators")?;
    kwargs.assert_all_used()?;
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.as_str(), key.as_str()),
        _ if indent.is_some() => (",", ": "),
        _ => (", ", ": "),
    };
    let mut writer = PythonJson {
        indent,
        ensure_ascii: ensure_ascii.unwrap_or(false),
        sort_keys: sort_keys.unwrap_or(false),
        item,
        key,
        out: String::new(),
    };
    writer.write(value, 0)?;
    Ok(writer.out)
}

struct PythonJson<'a> {
    indent: Option<usize>,
    ensure_ascii: bool,
    sort_keys: bool,
    item: &'a str,
    key: &'a str,
    out: String,
}

impl PythonJson<'_> {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        match value.kind() {
            ValueKind::Undefined | ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool if value.is_true() => self.out.push_str("true"),
            ValueKind::Bool => self.out.push_str("false"),
            ValueKind::Number => self.out.push_str(&value.to_string()),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                self.out.push('[');
                let mut items = 0;
                for item in value.try_iter()? {
                    self.begin_item(items, depth);
                    self.write(&item, depth + 1)?;
                    items += 1;
                }
                self.end_items(items, depth, ']');
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.out.push('{');
                for (i, key) in keys.iter().enumerate() {
                    self.begin_item(i, depth);
                    self.string(&key.to_string());
                    self.out.push_str(self.key);
                    self.write(&value.get_item(key)?, depth + 1)?;
                }
                self.end_items(keys.len(), depth, '}');
            }
            kind => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("tojson cannot write a {kind}"),
                ));
            }
        }
        Ok(())
    }

    fn begin_item(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out.push_str(self.item);
        }
        self.new_line(depth + 1);
    }

    /// Empty containers stay on one line.
    fn end_items(&mut self, items: usize, depth: usize, close: char) {
        if items > 0 {
            self.new_line(depth);
        }
        self.out.push(close);
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.push_str(&" ".repeat(indent * depth));
        }
    }

    fn string(&mut self, text: &str) {
        // serde_json escapes what Python escapes; Python can also write everything beyond ASCII as \u.
        let quoted = serde_json::Value::from(text).to_string();
        for c in quoted.chars() {
            if c.is_ascii() || !self.ensure_ascii {
                self.out.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let escape = format!("\\u{unit:04x}");
                    self.out.push_str(&escape);
                }
            }
        }
    }
}

fn refusal(error: &Error) -> Option<String> {
    causes(error).find_map(|cause| {
        cause
            .downcast_ref::<Refusal>()
            .map(|refusal| refusal.0.clone())
    })
}

/// The innermost message says what is wrong; the outermost knows the line.
fn in_words(error: &Error) -> String {
    let innermost = causes(error)
        .last()
        .map_or_else(String::new, ToString::to_string);
    match error.line() {
        Some(line) if innermost != error.to_string() => format!("{innermost} (line {line})"),
        _ => error.to_string(),
    }
}

fn causes<'a>(error: &'a Error) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |cause| {
        cause.source()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Role;

    fn render(source: &str) -> Result<String, TextError> {
        let turns = [Turn {
            role: Role::User,
            content: "a < b & \"c\" é\n".to_owned(),
        }];
        Template::compile(source)?.render(&turns, &Specials::default(), true)
    }

    #[test]
    fn white_space_is_jinjas_with_trimmed_blocks() {
        let source = "{% for m in messages %}\n    {{ m.role }}\n  {% endfor %}\nend\n";
        // trim_blocks eats the newline after a tag, lstrip_blocks the blanks before it, and the last newline goes.
        assert_eq!(render(source).unwrap(), "    user\nend");
    }

    #[test]
    fn json_is_pythons() {
        let json = |expression: &str| render(&format!("{{{{ {expression} }}}}")).unwrap();
        assert_eq!(
            json("messages[0].content | tojson"),
            r#""a < b & \"c\" é\n""#
        );
        assert_eq!(
            json("{'b': [1, 2.5, none, true], 'a': {}} | tojson"),
            r#"{"b": [1, 2.5, null, true], "a": {}}"#
        );
        assert_eq!(
            json("{'b': [1], 'a': 'é🙂'} | tojson(indent=2, sort_keys=true, ensure_ascii=true)"),
            "{\n  \"a\": \"\\u00e9\\ud83d\\ude42\",\n  \"b\": [\n    1\n  ]\n}"
        );
        assert_eq!(
            json("[1, {'a': 2}] | tojson(separators=(',', ':'))"),
            r#"[1,{"a":2}]"#
        );
    }

    #[test]
    fn python_words_and_methods_work() {
        assert_eq!(
            render("{{ none }} {{ true }} {{ 1 == 2 }} {{ missing }}.").unwrap(),
            "None True False ."
        );
        assert_eq!(
            render("{{ ' a,b '.strip().split(',')[-1].upper() }}{{ 'ab'.startswith('a') }}")
                .unwrap(),
            "BTrue"
        );
        assert_eq!(
            render("{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 3 %}{% break %}{% endif %}{{ i }}{% endfor %}").unwrap(),
            "013"
        );
        let year = render("{{ strftime_now('%Y') }}").unwrap();
        assert!(year.len() == 4 && year.starts_with('2'), "{year}");
    }

    #[test]
    fn idioms_of_published_templates_work() {
        for (source, expected) in [
            // Llama 3.1
            (
                "{% if strftime_now is defined %}{% set d = strftime_now('%d %b %Y') %}{% endif %}{{ d | length }}",
                "11",
            ),
            (
                "{% if not tools is defined %}a{% endif %}{% if tools is not none %}b{% endif %}{{ bos_token }}c",
                "c",
            ),
            // Qwen 2.5 and 3
            (
                "{% for m in messages %}{% if m.role == 'user' and not m.tool_calls %}{{ loop.previtem is defined }}{% endif %}{% endfor %}",
                "False",
            ),
            (
                "{{ messages[::-1][0].content is string }}{{ messages[0].get('name', '-') }}",
                "True-",
            ),
            // Mistral
            (
                "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}",
                "1",
            ),
            (
                "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
                "1",
            ),
            // Gemma 3
            (
                "{% if messages[0]['content'] is string %}s{% elif messages[0]['content'] is iterable %}i{% endif %}",
                "s",
            ),
            (
                "{{ (messages[0]['content'] | trim)[:5] }}{{ '%s-%d' | format('x', 3) }}",
                "a < bx-3",
            ),
            // DeepSeek
            (
                "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{{ add_generation_prompt }}",
                "True",
            ),
        ] {
            match render(source) {
                Ok(text) => assert_eq!(text, expected, "{source}"),
                Err(error) => panic!("{source}: {error}"),
            }
        }
    }

    #[test]
    fn a_refusal_keeps_its_words_even_inside_a_macro() {
        let source =
            "{% macro turn() %}{{ raise_exception('No tools here.') }}{% endmacro %}{{ turn() }}";
        match render(source) {
            Err(TextError::Refused(reason)) => assert_eq!(reason, "No tools here."),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_template_without_end_runs_out_of_fuel() {
        let source =
            "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
        assert!(matches!(render(source), Err(TextError::Template(_))));
    }

    #[test]
    fn a_broken_template_is_reported_with_its_line() {
        let Err(TextError::Template(reason)) = render("ok\n{% if %}") else {
            panic!("compiled");
        };
        assert!(reason.contains('2'), "{reason}");
    }

    #[test]
    fn generation_marks_vanish_and_keep_their_white_space() {
        assert_eq!(
            render("a \n{%- generation -%}\n b{% endgeneration %}\nc").unwrap(),
            "abc"
        );
    }
}
