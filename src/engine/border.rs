//! The border that panics do not cross: whatever goes wrong inside is an answer and nothing more.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the work gives, or a sentence for the window about the panic that ended it.
pub fn within<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| sentence(panic.as_ref()))
}

fn sentence(panic: &(dyn std::any::Any + Send)) -> String {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    format!(
        "The engine met an error in its own code and gave this up: {what}. What was saved before is intact; please report it"
    )
}
