//! Readers of others, which may panic at what nobody writes.

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    /// This thread's panics are caught and told by [`contained`].
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call into a library. A panic in it is an error, in the panic's own words, and says nothing on the terminal by
/// itself.
pub fn contained<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if CONTAINED.get() {
                tracing::debug!("{info}");
            } else {
                before(info);
            }
        }));
    });
    let outer = CONTAINED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    CONTAINED.set(outer);
    result.map_err(|panic| said(&*panic).to_owned())
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_next_call_goes_on() {
        assert_eq!(contained::<()>(|| panic!("out of {}", "range")), Err("out of range".to_owned()));
        assert_eq!(contained(|| 3), Ok(3));
    }
}
