//! Messages for the person at the window: what happened, to what, what to do next.

/// Names a notice so that it can be dismissed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NoticeId(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    /// The word that stands beside the colour.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "Note",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub level: Level,
    /// One sentence, no full stop: what happened, to what.
    pub summary: String,
    /// The chain of causes and the next step; may be empty.
    pub details: String,
}

impl Notice {
    pub fn info(summary: impl Into<String>) -> Self {
        Self { level: Level::Info, summary: summary.into(), details: String::new() }
    }

    pub fn warning(summary: impl Into<String>, details: impl Into<String>) -> Self {
        Self { level: Level::Warning, summary: summary.into(), details: details.into() }
    }

    /// The error and its chain of causes, each on its own line.
    pub fn from_error(summary: impl Into<String>, error: &anyhow::Error) -> Self {
        let details: Vec<String> = error.chain().map(ToString::to_string).collect();
        Self { level: Level::Error, summary: summary.into(), details: details.join("\n") }
    }

    pub fn error(summary: impl Into<String>, details: impl Into<String>) -> Self {
        Self { level: Level::Error, summary: summary.into(), details: details.into() }
    }
}

/// How many notices wait at most; the oldest note gives way.
const MOST: usize = 20;

/// Notices that were not dismissed yet, oldest first.
#[derive(Debug, Default)]
pub struct Notices {
    list: Vec<(NoticeId, Notice)>,
    next: u64,
}

impl Notices {
    /// Saying the same thing twice shows it once.
    pub fn push(&mut self, notice: Notice) -> NoticeId {
        self.list.retain(|(_, shown)| *shown != notice);
        if self.list.len() >= MOST {
            self.list.remove(0);
        }
        let id = NoticeId(self.next);
        self.next += 1;
        self.list.push((id, notice));
        id
    }

    pub fn dismiss(&mut self, id: NoticeId) {
        self.list.retain(|(shown, _)| *shown != id);
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &(NoticeId, Notice)> {
        self.list.iter()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_notice_is_shown_once() {
        let mut notices = Notices::default();
        notices.push(Notice::info("Saved a checkpoint"));
        notices.push(Notice::info("Saved a checkpoint"));
        assert_eq!(notices.len(), 1);
    }

    #[test]
    fn dismissing_removes_only_the_one_named() {
        let mut notices = Notices::default();
        let first = notices.push(Notice::info("One"));
        notices.push(Notice::info("Two"));
        notices.dismiss(first);
        assert_eq!(notices.iter().next().unwrap().1.summary, "Two");
    }

    #[test]
    fn a_flood_keeps_the_newest() {
        let mut notices = Notices::default();
        for n in 0..50 {
            notices.push(Notice::info(format!("{n}")));
        }
        assert_eq!(notices.len(), MOST);
        assert_eq!(notices.iter().next_back().unwrap().1.summary, "49");
    }
}
