//! What is known of the health of the pairs, and when all of them are looked through again: while somebody looks at it,
//! and once the changes have paused.

use std::sync::Arc;

use data::health::Health;
use store::Revision;

use super::lists::Lists;

/// Changes have paused when there was none for so long, or for as long as looking through all pairs takes.
const PAUSE_MS: i64 = 1_000;

#[derive(Debug, Default)]
pub struct PairHealth {
    /// What was found last, and in which revision.
    found: Option<(Revision, Arc<Health>)>,
    /// The revision that could not be looked through.
    failed: Option<Revision>,
    under_way: bool,
    /// Whether the one under way is still wanted, and how far it is.
    pub examinations: Arc<Lists>,
    took_ms: i64,
    /// The newest revision that the window has heard of, and when it did.
    newest: (Revision, i64),
}

/// When the pairs are to be looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Now,
    /// In so many milliseconds, if nothing is changed before that.
    In(i64),
    /// What is known holds, or it is being worked out, or it cannot be.
    Never,
}

impl PairHealth {
    /// Called with every frame. What is being worked out of a revision that has passed is given up where an older
    /// finding can be shown meanwhile.
    pub fn follow(&mut self, revision: Revision, now_ms: i64) {
        if self.newest.0 == revision {
            return;
        }
        self.newest = (revision, now_ms);
        if self.under_way && self.found.is_some() {
            self.examinations.ask();
        }
    }

    pub fn due(&self, now_ms: i64) -> Due {
        let (newest, since_ms) = self.newest;
        if self.under_way || self.is_of_now() || self.failed == Some(newest) {
            return Due::Never;
        }
        let rest_ms = since_ms + PAUSE_MS.max(self.took_ms) - now_ms;
        // Nothing can be shown yet: whoever looks need not wait for a pause.
        if self.found.is_none() || rest_ms <= 0 { Due::Now } else { Due::In(rest_ms) }
    }

    /// The number of an examination that begins now, in [`Self::examinations`].
    pub fn begin(&mut self) -> u64 {
        self.under_way = true;
        self.examinations.ask()
    }

    /// It has ended; nothing was found where it was given up.
    pub fn end(&mut self, found: Option<(Revision, Health)>, took_ms: i64) {
        self.under_way = false;
        if let Some((revision, health)) = found {
            self.found = Some((revision, Arc::new(health)));
            self.took_ms = took_ms;
        }
    }

    /// It could not be done; it is not tried again before something was changed.
    pub fn fail(&mut self) {
        self.under_way = false;
        self.failed = Some(self.newest.0);
    }

    pub fn found(&self) -> Option<&Arc<Health>> {
        self.found.as_ref().map(|(_, health)| health)
    }

    /// Nothing was changed since that was found.
    pub fn is_of_now(&self) -> bool {
        self.found.as_ref().is_some_and(|(revision, _)| *revision == self.newest.0)
    }

    pub fn is_under_way(&self) -> bool {
        self.under_way
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    fn found(revision: u64) -> (Revision, Health) {
        (Revision(revision), Health::default())
    }

    #[test]
    fn pairs_are_looked_through_once_the_changes_have_paused() {
        let mut health = PairHealth::default();
        health.follow(Revision(1), 0);
        assert_eq!(health.due(0), Due::Now, "nothing is known yet");
        health.begin();
        assert_eq!(health.due(9_000), Due::Never, "one at a time");
        health.end(Some(found(1)), 4_000);
        assert_eq!(health.due(9_000), Due::Never);
        health.follow(Revision(2), 10_000);
        health.follow(Revision(3), 12_000);
        assert_eq!((health.due(12_000), health.due(15_000)), (Due::In(4_000), Due::In(1_000)), "as long as it takes");
        assert_eq!((health.due(16_000), health.is_of_now()), (Due::Now, false));
        health.begin();
        health.end(Some(found(3)), 10);
        health.follow(Revision(4), 20_000);
        assert_eq!((health.due(20_400), health.due(21_000)), (Due::In(600), Due::Now));
    }

    #[test]
    fn what_a_change_overtakes_is_given_up_unless_nothing_else_could_be_shown() {
        let mut health = PairHealth::default();
        health.follow(Revision(1), 0);
        let first = health.begin();
        health.follow(Revision(2), 10);
        assert_eq!(health.examinations.tell(first, 0.5), ControlFlow::Continue(()));
        health.end(Some(found(1)), 10);
        let second = health.begin();
        health.follow(Revision(3), 20);
        assert_eq!(health.examinations.tell(second, 0.5), ControlFlow::Break(()));
        assert_eq!(health.due(5_000), Due::Never, "it has not stopped yet");
        health.end(None, 10);
        assert_eq!((health.due(5_000), health.found().is_some()), (Due::Now, true));
        health.begin();
        health.fail();
        assert_eq!(health.due(9_000), Due::Never);
        health.follow(Revision(4), 9_000);
        assert_eq!(health.due(10_000), Due::Now);
    }
}
