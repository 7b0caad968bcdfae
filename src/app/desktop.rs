//! Tells whoever does something else that a run has ended or waits for an answer: in the notifications of a Linux
//! desktop.
//!
//! Elsewhere the window's own call for attention has to do. Nothing depends on it: where there is no desktop, or it
//! does not answer, nothing is told and nothing is said of it.

use std::time::Duration;

use crossbeam::channel::bounded;

/// Says it; comes back when that is done, or after so long.
pub fn tell(summary: &str, body: &str, patience: Duration) {
    let (done, is_done) = bounded::<()>(1);
    let (summary, body) = (summary.to_owned(), body.to_owned());
    // On a thread of its own: a desktop that does not answer keeps nobody waiting.
    let thread = std::thread::Builder::new().name("nudge-desktop".to_owned()).spawn(move || {
        if let Err(error) = notify(&summary, &body) {
            tracing::debug!("the desktop cannot be told: {error}");
        }
        done.send(()).ok();
    });
    if thread.is_ok() {
        is_done.recv_timeout(patience).ok();
    }
}

/// As the Desktop Notifications Specification 1.2 has it.
#[cfg(target_os = "linux")]
fn notify(summary: &str, body: &str) -> zbus::Result<()> {
    use std::collections::HashMap;

    use zbus::{blocking::Connection, zvariant::Value};

    const SERVICE: &str = "org.freedesktop.Notifications";
    let hints: HashMap<&str, Value<'_>> = HashMap::from([("desktop-entry", Value::from("nudge"))]);
    // How long it stays is the desktop's to say.
    let note = ("Nudge", 0_u32, "", summary, body, Vec::<&str>::new(), hints, -1_i32);
    let session = Connection::session()?;
    session.call_method(Some(SERVICE), "/org/freedesktop/Notifications", Some(SERVICE), "Notify", &note)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "on Linux there is a desktop to be asked")]
fn notify(_: &str, _: &str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn nobody_waits_for_a_desktop_that_is_not_there() {
        let began = Instant::now();
        tell("A run has ended", "Nobody sees this", Duration::ZERO);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}
