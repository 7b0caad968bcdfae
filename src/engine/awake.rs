//! The system does not go to sleep by itself while a run goes on. The screen may, and whoever wants sleep gets it.

use crossbeam::channel::{Sender, bounded};

/// Held as long as the system is to stay awake.
pub struct Awake(#[expect(dead_code, reason = "its end is what is waited for")] Option<Sender<()>>);

impl Awake {
    /// Where the system cannot be asked (a server, a container) nothing happens.
    pub fn hold() -> Self {
        let (held, released) = bounded::<()>(0);
        // On a thread of its own: a system service that does not answer keeps no run waiting.
        let wish = move || {
            let awake = keepawake::Builder::default()
                .idle(true)
                .reason("A model is being trained")
                .app_name("Nudge")
                .app_reverse_domain("nudge")
                .create();
            match awake {
                Ok(_awake) => {
                    released.recv().ok();
                }
                Err(error) => tracing::debug!("the system cannot be kept awake: {error}"),
            }
        };
        let thread = std::thread::Builder::new().name("nudge-awake".to_owned()).spawn(wish);
        Self(thread.ok().map(|_| held))
    }
}
