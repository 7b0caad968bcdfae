//! Start: the window, or the command line.

use std::process::ExitCode;

/// Training allocates and frees whole rows of activations all the time; the system's allocator gives pages back
/// between.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Freed memory goes back to the system after a minute, not after mimalloc's own second: a step would pay for the pages
/// of its activations anew, which took a quarter of its time.
fn keep_freed_memory_for_a_while() {
    /// `mi_option_purge_delay` in mimalloc.h, which the crate has no name for; milliseconds.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    const BEFORE: std::ffi::c_long = 1000;
    const DELAY: std::ffi::c_long = 60_000;
    #[expect(unsafe_code, reason = "the allocator's options are C functions")]
    // SAFETY: the number is an option of this version, and no other thread runs yet. The look at its old value keeps an
    // option that a later version may have in this place as it is.
    unsafe {
        if libmimalloc_sys::mi_option_get(PURGE_DELAY) == BEFORE {
            libmimalloc_sys::mi_option_set(PURGE_DELAY, DELAY);
        }
    }
}

/// A file that grows past a limit of the user's (`ulimit -f`) or of a quota is an error like any other, not the end of
/// the program.
#[cfg(unix)]
fn outlive_limits_of_size() {
    #[expect(unsafe_code, reason = "a signal is ignored by a C function")]
    // SAFETY: no other thread runs yet, and nothing in the program listens to this signal.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

fn main() -> ExitCode {
    #[cfg(unix)]
    outlive_limits_of_size();
    keep_freed_memory_for_a_while();
    nudge::cli::main()
}
