//! Room for templates that mean harm: what they nest is taken apart by functions that call themselves, and a thread
//! whose stack runs over takes the program with it.

use std::thread;

use super::super::TextError;

/// Bytes of a template. The largest published ones have about 30 KB.
pub const LARGEST: usize = 1 << 20;

/// Bytes of one tag, `{{ .. }}` or `{% .. %}`: an operator a byte, it could nest as deep.
pub const LONGEST_TAG: usize = 1 << 15;

/// Address space, not memory: only what is used is taken.
const STACK: usize = 1 << 28;

/// Runs `work` with room on the stack.
pub fn with<T: Send>(work: impl FnOnce() -> Result<T, TextError> + Send) -> Result<T, TextError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("template".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .map_err(|error| TextError::Template(format!("no thread to read it in: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(TextError::Template("it broke its reader".to_owned())))
    })
}

/// What is too large about the template, if anything.
pub fn measure(source: &str) -> Result<(), String> {
    if source.len() > LARGEST {
        return Err(format!("it has {} KB; more than {} KB is not a chat template", source.len() >> 10, LARGEST >> 10));
    }
    match tags(source).find(|tag| tag.len() > LONGEST_TAG) {
        None => Ok(()),
        Some(tag) => Err(format!(
            "one tag of it has {} KB; more than {} KB is not a chat template",
            tag.len() >> 10,
            LONGEST_TAG >> 10
        )),
    }
}

/// Whether a value can be put into another one, round after round: only by an attribute of a namespace that is set to
/// more than a name, a text or a sum of them.
pub fn nests(source: &str) -> bool {
    tags(source).any(|tag| {
        let tag = tag.trim_start_matches(['{', '%', '-', '+', ' ', '\n', '\t']);
        let Some(set) = tag.strip_prefix("set") else {
            return false;
        };
        match set.split_once('=') {
            Some((target, value)) => target.contains('.') && value.contains(['[', '{', '(', '|']),
            None => set.contains('.'),
        }
    })
}

/// From each opening brace pair to where its kind closes, or to the end.
fn tags(source: &str) -> impl Iterator<Item = &str> {
    let mut rest = source;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find('{')?..];
            let close = match rest.as_bytes().get(1) {
                Some(b'{') => "}}",
                Some(b'%') => "%}",
                _ => {
                    rest = &rest[1..];
                    continue;
                }
            };
            let end = rest.find(close).map_or(rest.len(), |end| end + close.len());
            let (tag, after) = rest.split_at(end);
            rest = after;
            return Some(tag);
        }
    })
}
