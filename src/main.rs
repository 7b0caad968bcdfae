//! Start: the window, or the command line.

use std::process::ExitCode;

/// Training allocates and frees whole rows of activations all the time; the system's allocator gives pages back between.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    nudge::cli::main()
}
