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

/// A step of the journal that a notice offers, by its label. The notice ends when that step is no longer the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoOffer {
    Undo(String),
    Redo(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub level: Level,
    /// One sentence, no full stop: what happened, to what.
    pub summary: String,
    /// The chain of causes and the next step; may be empty.
    pub details: String,
    pub offer: Option<UndoOffer>,
}

impl Notice {
    fn new(level: Level, summary: impl Into<String>, details: impl Into<String>) -> Self {
        Self { level, summary: summary.into(), details: details.into(), offer: None }
    }

    pub fn info(summary: impl Into<String>) -> Self {
        Self::new(Level::Info, summary, "")
    }

    pub fn warning(summary: impl Into<String>, details: impl Into<String>) -> Self {
        Self::new(Level::Warning, summary, details)
    }

    /// The error and its chain of causes, each on its own line and said once.
    pub fn from_error(summary: impl Into<String>, error: &anyhow::Error) -> Self {
        let summary = summary.into();
        let details = causes(&summary, error.chain().map(ToString::to_string));
        Self::new(Level::Error, summary, details)
    }

    pub fn error(summary: impl Into<String>, details: impl Into<String>) -> Self {
        Self::new(Level::Error, summary, details)
    }

    pub fn offering(self, offer: UndoOffer) -> Self {
        Self { offer: Some(offer), ..self }
    }

    /// How long it stays when nobody dismisses it, in milliseconds; absent: until it is dismissed or its offer ends.
    fn lasts_ms(&self) -> Option<i64> {
        match (self.level, &self.offer) {
            (Level::Info, None) => Some(12_000),
            (Level::Info, Some(UndoOffer::Undo(_))) => Some(20_000),
            (Level::Info, Some(UndoOffer::Redo(_))) | (Level::Warning | Level::Error, _) => None,
        }
    }
}

/// Many errors quote their cause, which then follows as a link of the chain of its own: what is said is not said again.
fn causes(summary: &str, chain: impl Iterator<Item = String>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for cause in chain {
        let said = summary.contains(cause.trim()) || lines.iter().any(|line| line.contains(cause.trim()));
        if !said {
            lines.push(cause);
        }
    }
    lines.join("\n")
}

/// Paths longer than this are shortened where a notice is shown, in characters.
const LONGEST_PATH: usize = 48;

/// `text` with every long path shortened in its middle; absent when nothing was too long.
pub fn shortened(text: &str) -> Option<String> {
    let mut any = false;
    let words: Vec<String> = text
        .split_inclusive(char::is_whitespace)
        .map(|word| {
            let path = word.matches(['/', '\\']).count() >= 2;
            if path && word.chars().count() > LONGEST_PATH {
                any = true;
                in_the_middle(word, LONGEST_PATH)
            } else {
                word.to_owned()
            }
        })
        .collect();
    any.then(|| words.concat())
}

/// The beginning and the end of `text` with an ellipsis between them, `longest` characters in all; the end, which names
/// the file, gets the greater part.
pub fn in_the_middle(text: &str, longest: usize) -> String {
    let count = text.chars().count();
    if count <= longest {
        return text.to_owned();
    }
    let head = longest / 3;
    let tail = longest.saturating_sub(head + 1);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(count - tail)).collect()
}

/// How many notices wait at most; the oldest note gives way.
const MOST: usize = 20;

#[derive(Debug)]
struct Entry {
    id: NoticeId,
    notice: Notice,
    /// Unix time in milliseconds of the first frame that had it.
    since_ms: Option<i64>,
}

/// Notices that were not dismissed yet, oldest first.
#[derive(Debug, Default)]
pub struct Notices {
    list: Vec<Entry>,
    next: u64,
}

impl Notices {
    /// Saying the same thing twice shows it once.
    pub fn push(&mut self, notice: Notice) -> NoticeId {
        self.list.retain(|shown| shown.notice != notice);
        if self.list.len() >= MOST {
            self.list.remove(0);
        }
        let id = NoticeId(self.next);
        self.next += 1;
        self.list.push(Entry { id, notice, since_ms: None });
        id
    }

    pub fn dismiss(&mut self, id: NoticeId) {
        self.list.retain(|shown| shown.id != id);
    }

    pub fn dismiss_all(&mut self) {
        self.list.clear();
    }

    /// The journal's next steps are these now: what offered another one has had its time.
    pub fn settle_offers(&mut self, undo: Option<&str>, redo: Option<&str>) {
        self.list.retain(|shown| match &shown.notice.offer {
            Some(UndoOffer::Undo(label)) => undo == Some(label),
            Some(UndoOffer::Redo(label)) => redo == Some(label),
            None => true,
        });
    }

    /// Drops the notes that were on the screen long enough.
    pub fn expire(&mut self, now_ms: i64) {
        self.list.retain_mut(|shown| {
            let since = *shown.since_ms.get_or_insert(now_ms);
            shown.notice.lasts_ms().is_none_or(|lasts| now_ms < since + lasts)
        });
    }

    /// Unix time in milliseconds at which [`Self::expire`] has something to drop.
    pub fn next_end_ms(&self) -> Option<i64> {
        self.list.iter().filter_map(|shown| Some(shown.since_ms? + shown.notice.lasts_ms()?)).min()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NoticeId, &Notice)> {
        self.list.iter().map(|shown| (shown.id, &shown.notice))
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

    #[test]
    fn g21_a_cause_is_said_once() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let quoted = format!("cannot open /a/b.jsonl: {missing}");
        let error = anyhow::Error::from(missing).context(quoted.clone());
        let notice = Notice::from_error("Could not import /a/b.jsonl", &error);
        assert_eq!(notice.details, quoted);
        let again = Notice::from_error("Could not save: disk is full", &anyhow::anyhow!("disk is full"));
        assert_eq!(again.details, "");
    }

    #[test]
    fn g21_long_paths_are_shortened_in_the_middle() {
        let path = format!("/home/me/{}/preferences.jsonl", "deep/".repeat(30));
        let text = format!("Could not import {path} today");
        let short = shortened(&text).unwrap();
        assert!(short.starts_with("Could not import /home/me/"), "{short}");
        assert!(short.ends_with("/preferences.jsonl today"), "{short}");
        assert!(short.chars().count() < 80, "{short}");
        assert_eq!(shortened("Could not import /tmp/a.jsonl"), None);
        assert_eq!(in_the_middle("äöü", 3), "äöü");
        assert_eq!(in_the_middle("äöüäöüäöü", 7).chars().count(), 7);
    }

    #[test]
    fn g21_notes_end_by_themselves_and_errors_stay() {
        let mut notices = Notices::default();
        notices.push(Notice::info("Wrote 3 pairs"));
        notices.push(Notice::error("Could not save", "disk is full"));
        notices.expire(1_000);
        assert_eq!(notices.next_end_ms(), Some(13_000));
        notices.expire(12_999);
        assert_eq!(notices.len(), 2);
        notices.expire(13_000);
        assert_eq!(notices.iter().map(|(_, notice)| notice.level).collect::<Vec<_>>(), [Level::Error]);
        assert_eq!(notices.next_end_ms(), None);
        notices.dismiss_all();
        assert!(notices.is_empty());
    }

    #[test]
    fn g8_an_offer_ends_when_its_step_is_no_longer_the_next() {
        let mut notices = Notices::default();
        let offer = |label: &str| Notice::info(label).offering(UndoOffer::Undo(label.to_owned()));
        notices.push(offer("Delete pair 1"));
        notices.push(Notice::info("Imported").offering(UndoOffer::Redo("Import".to_owned())));
        notices.settle_offers(Some("Delete pair 1"), Some("Import"));
        assert_eq!(notices.len(), 2);
        notices.settle_offers(Some("Delete pair 2"), Some("Import"));
        assert_eq!(notices.len(), 1);
        notices.settle_offers(Some("Delete pair 1"), None);
        assert!(notices.is_empty());
    }
}
