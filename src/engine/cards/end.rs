//! How a process that tried cards ended, and what that says about them.

use std::{fmt, process::ExitStatus, time::Duration};

/// How it ended. Displayed as a sentence without a subject, for what was not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    FellOver(String),
    /// By a signal that no driver raises: the system's where memory ran out, somebody's, or a terminal's.
    Outside(String),
    Late(Duration),
    NotStarted(String),
}

impl End {
    pub(super) fn of(status: ExitStatus) -> Self {
        if is_from_outside(status) { Self::Outside(status.to_string()) } else { Self::FellOver(status.to_string()) }
    }

    /// Whether another look would come to the same.
    pub(super) fn is_verdict(&self) -> bool {
        matches!(self, Self::FellOver(_))
    }
}

/// Whether a hang-up, Ctrl-C or Ctrl-\, a kill or a request to end was the cause.
#[cfg(unix)]
fn is_from_outside(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;

    matches!(status.signal(), Some(libc::SIGHUP | libc::SIGINT | libc::SIGQUIT | libc::SIGKILL | libc::SIGTERM))
}

/// Whether Ctrl-C was the cause: the one ending of which Windows says so.
#[cfg(not(unix))]
fn is_from_outside(status: ExitStatus) -> bool {
    const CONTROL_C: u32 = 0xC000_013A;
    status.code().is_some_and(|code| code.cast_unsigned() == CONTROL_C)
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FellOver(how) => write!(f, "a driver fell over meanwhile ({how})"),
            Self::Outside(how) => {
                write!(f, "it was ended from outside meanwhile, as it is where memory runs out ({how})")
            }
            Self::Late(patience) => write!(f, "it did not finish within {} seconds", patience.as_secs()),
            Self::NotStarted(why) => write!(f, "it could not be tried ({why})"),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn who_is_ended_by_a_signal_from_outside_did_not_fall_over() {
        let from_outside = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL, libc::SIGTERM];
        let own = [libc::SIGSEGV, libc::SIGABRT, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];
        assert!(from_outside.map(ExitStatus::from_raw).into_iter().all(is_from_outside));
        assert!(!own.map(ExitStatus::from_raw).into_iter().any(is_from_outside));
    }
}
