//! Chat templates, rendered as Transformers renders them.
//!
//! Source: `transformers/utils/chat_template_utils.py`: Jinja2 with `trim_blocks`, `lstrip_blocks`, loop controls,
//! `raise_exception`, `strftime_now` and a `tojson` that escapes no HTML. The template's own last newline is dropped.

mod arguments;
mod attributes;
mod braces;
mod clock;
mod filters;
mod formats;
mod json;
mod markup;
mod methods;
mod once;
mod pretty;
mod printed;
mod spelling;
mod stack;
mod strip;
mod texts;
mod views;
mod whole;

use std::borrow::Cow;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value, syntax::SyntaxConfig, value::Rest};

use ::data::integers;
use serde_json::Value as Json;

pub use clock::Clock;

use super::{Conversation, TextError, specials::Specials};

/// Work that a template may do on one conversation, in instructions; 64 bytes of text made or written count as one. Far
/// more than any real one needs; an endless loop is over in a moment, and no text can grow past about 100 MB.
const FUEL: u64 = 2_000_000;

/// Macros that call each other may be nested this deep.
const DEEPEST: usize = 64;

const NAME: &str = "chat_template";

/// What a template may not do here.
fn fault(reason: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

/// A compiled chat template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    /// It may nest values as deep as it likes, see [`stack`].
    nests: bool,
}

/// What a template said through `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

impl Template {
    /// # Errors
    /// If it is not a template, or one that no chat needs: larger than [`stack::LARGEST`], or with a longer tag than
    /// [`stack::LONGEST_TAG`].
    pub fn compile(source: &str) -> Result<Self, TextError> {
        stack::measure(source).map_err(TextError::Template)?;
        stack::with(|| Self::compile_with_stack(source))
    }

    fn compile_with_stack(source: &str) -> Result<Self, TextError> {
        let mut environment = Environment::new();
        environment.set_syntax(transformers_syntax()?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEEPEST);
        environment.set_unknown_method_callback(methods::call);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("cycler", |Rest(items): Rest<Value>| minijinja_contrib::globals::cycler(items));
        environment.add_function("joiner", minijinja_contrib::globals::joiner);
        environment.add_function("range", views::Range::of);
        environment.remove_global("debug");
        environment.set_formatter(printed::print);
        once::add_filters(&mut environment);
        environment.add_filter("list", filters::list);
        environment.add_filter("attr", attributes::attr);
        environment.add_filter("string", printed::string);
        environment.add_filter("tojson", json::tojson);
        environment.add_filter("trim", filters::trim);
        environment.add_filter("replace", filters::replace);
        environment.add_filter("upper", filters::of_any(str::to_uppercase));
        environment.add_filter("lower", filters::of_any(str::to_lowercase));
        environment.add_filter("title", filters::of_any(filters::title));
        environment.add_filter("capitalize", filters::of_any(methods::capitalize));
        environment.add_filter("int", filters::int);
        environment.add_filter("float", filters::float);
        environment.add_filter("center", filters::center);
        environment.add_filter("wordcount", filters::wordcount);
        environment.add_filter("default", arguments::default);
        environment.add_filter("d", arguments::default);
        environment.add_filter("sort", arguments::sort);
        environment.add_filter("dictsort", arguments::dictsort);
        environment.add_filter("min", arguments::min);
        environment.add_filter("max", arguments::max);
        environment.add_filter("join", arguments::join);
        environment.add_filter(spelling::PERCENT, arguments::percent);
        environment.add_filter(spelling::CONCAT, filters::concat);
        environment.add_filter(spelling::ITEMS, filters::items);
        environment.add_filter("format", formats::format);
        environment.add_filter("pprint", pretty::pprint);
        for name in ["escape", "e", "forceescape"] {
            environment.add_filter(name, markup::escape);
        }
        environment.add_filter("striptags", markup::striptags);
        environment.add_filter("urlencode", markup::urlencode);
        environment.add_filter("filesizeformat", formats::file_size);
        environment.add_filter("indent", texts::indent);
        environment.add_filter("truncate", texts::truncate);
        environment.add_filter("wordwrap", texts::wordwrap);
        environment.add_test("iterable", arguments::is_iterable);
        environment.add_test("callable", arguments::is_callable);
        environment.add_test("sequence", filters::is_sequence);
        environment.add_test("number", filters::is_number);
        environment.add_test("integer", filters::is_integer);
        let translated = spelling::translate(&with_plain_newlines(source)).map_err(TextError::Template)?;
        environment.add_template_owned(NAME, translated).map_err(|error| TextError::Template(in_words(&error)))?;
        Ok(Self { environment, nests: stack::nests(source) })
    }

    /// The conversation as one text, at this time.
    pub fn render(
        &self,
        conversation: &Conversation,
        specials: &Specials,
        generation_prompt: bool,
        clock: Clock,
    ) -> Result<String, TextError> {
        let mut variables = vec![("strftime_now", Value::from_function(move |format: String| clock.strftime(&format)))];
        variables.extend(specials.texts().map(|(name, text)| (name, Value::from(text))));
        variables.extend(conversation.given.variables.iter().map(|(name, given)| (name.as_str(), value(given))));
        variables.extend([
            ("messages", conversation.plain_messages().iter().map(map).collect()),
            ("tools", list(conversation.given.tools.as_deref())),
            ("documents", list(conversation.given.documents.as_deref())),
            ("add_generation_prompt", Value::from(generation_prompt)),
        ]);
        let variables = Value::from_pairs(variables);
        let render = || {
            self.environment.get_template(NAME).and_then(|template| template.render(variables)).map_err(|error| {
                match refusal(&error) {
                    Some(reason) => TextError::Refused(reason),
                    None => TextError::Template(in_words(&error)),
                }
            })
        };
        if self.nests { stack::with(render) } else { render() }
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::from(value),
            (None, Some(value)) => Value::from(value),
            (None, None) => number.as_f64().map_or(Value::UNDEFINED, Value::from),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(value).collect(),
        Json::Object(entries) => integers::digits(entries).map_or_else(|| map(entries), whole::of_digits),
    }
}

fn map(entries: &serde_json::Map<String, Json>) -> Value {
    Value::from_pairs(entries.iter().map(|(key, item)| (key.as_str(), value(item))))
}

/// `None` where there is none, as Transformers passes it.
fn list(items: Option<&[Json]>) -> Value {
    items.map_or(Value::from(()), |items| items.iter().map(value).collect())
}

/// Jinja reads any line end as a line feed.
fn with_plain_newlines(source: &str) -> String {
    source.replace("\r\n", "\n").replace('\r', "\n")
}

fn transformers_syntax() -> Result<SyntaxConfig, TextError> {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .map_err(|error| TextError::Template(error.to_string()))
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(fault("raised by the template").with_source(Refusal(message)))
}

fn refusal(error: &Error) -> Option<String> {
    causes(error).find_map(|cause| cause.downcast_ref::<Refusal>().map(|refusal| refusal.0.clone()))
}

/// The innermost message says what is wrong; the outermost knows the line.
fn in_words(error: &Error) -> String {
    let innermost = causes(error).last().map_or_else(String::new, ToString::to_string);
    match error.line() {
        Some(line) if innermost != error.to_string() => format!("{innermost} (line {line})"),
        _ => error.to_string(),
    }
}

fn causes<'a>(error: &'a Error) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |cause| cause.source())
}

#[cfg(test)]
mod tests;
