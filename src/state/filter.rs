//! What the table of pairs is asked to show, and in which order.

use data::{Split, SplitRule, Strength};
use serde::{Deserialize, Serialize};
use store::{Counts, PairQuery, PairSource, Revision, Sort, SortKey, VerdictFilter, VerdictState};
use train::objective::{Number, NumberBounds};

use super::scores::Fate;

/// Which verdicts the table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ListedPairs {
    #[default]
    All,
    Unlabelled,
    Labelled,
    Better,
    Ties,
    BothBad,
    Skipped,
}

impl ListedPairs {
    pub const ALL: [Self; 7] =
        [Self::All, Self::Unlabelled, Self::Labelled, Self::Better, Self::Ties, Self::BothBad, Self::Skipped];

    pub fn word(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Unlabelled => "Unlabelled",
            Self::Labelled => "Labelled",
            Self::Better => "One is better",
            Self::Ties => "Ties",
            Self::BothBad => "Both bad",
            Self::Skipped => "Skipped",
        }
    }

    pub fn count(self, counts: &Counts) -> usize {
        match self {
            Self::All => counts.total(),
            Self::Unlabelled => counts.unlabelled,
            Self::Labelled => counts.labelled(),
            Self::Better => counts.better,
            Self::Ties => counts.tie,
            Self::BothBad => counts.both_bad,
            Self::Skipped => counts.skip,
        }
    }

    fn filter(self) -> Option<VerdictFilter> {
        Some(match self {
            Self::All => return None,
            Self::Labelled => VerdictFilter::Labelled,
            Self::Unlabelled => VerdictFilter::Is(VerdictState::Unlabelled),
            Self::Better => VerdictFilter::Is(VerdictState::Better),
            Self::Ties => VerdictFilter::Is(VerdictState::Tie),
            Self::BothBad => VerdictFilter::Is(VerdictState::BothBad),
            Self::Skipped => VerdictFilter::Is(VerdictState::Skip),
        })
    }
}

/// Column the table is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SortPairsBy {
    #[default]
    Number,
    Length,
    Labelled,
    /// By what a model thinks of the pairs; only while that is shown.
    Scores(Number),
}

impl SortPairsBy {
    pub const ALL: [Self; 8] = [
        Self::Number,
        Self::Length,
        Self::Labelled,
        Self::Scores(Number::Margin),
        Self::Scores(Number::Push),
        Self::Scores(Number::Reward),
        Self::Scores(Number::ChosenReward),
        Self::Scores(Number::RejectedReward),
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Number => "Number",
            Self::Length => "Length",
            Self::Labelled => "Time of verdict",
            Self::Scores(number) => number.title(),
        }
    }
}

/// What the table is asked to show.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    pub search: String,
    pub shown: ListedPairs,
    /// Pinned to this side, or `Auto` for not pinned.
    pub split: Option<Split>,
    /// On this side of the hold-out, pinned or not: `true` for held out.
    pub held_out: Option<bool>,
    pub tag: Option<String>,
    pub strength: Option<Strength>,
    pub source: Option<PairSource>,
    /// Bytes of prompt and answers; 0 is no bound.
    pub shortest: usize,
    pub longest: usize,
    /// Only pairs that were changed after this revision.
    pub changed_since: Option<Revision>,
    /// What has become of it, by the scores that are shown.
    pub fate: Option<Fate>,
    /// Between which bounds one of its numbers lies, by the same scores.
    pub range: Option<NumberBounds>,
    pub sort: SortPairsBy,
    pub descending: bool,
}

impl Filter {
    /// `rule`: which prompts are held out.
    pub fn query(&self, rule: SplitRule) -> PairQuery {
        let bounded = self.shortest > 0 || self.longest > 0;
        let longest = if self.longest > 0 { self.longest } else { usize::MAX };
        PairQuery {
            search: self.search.trim().to_owned(),
            verdict: self.shown.filter(),
            pinned: self.split,
            held_out: self.held_out.map(|held_out| (rule, held_out)),
            tag: self.tag.clone(),
            strength: self.strength,
            source: self.source.clone(),
            length: bounded.then_some((self.shortest, longest)),
            changed_since: self.changed_since,
            sort: Sort {
                key: match self.sort {
                    SortPairsBy::Number => SortKey::Id,
                    SortPairsBy::Length => SortKey::Length,
                    SortPairsBy::Labelled => SortKey::VerdictTime,
                    SortPairsBy::Scores(_) => SortKey::Scores,
                },
                descending: self.descending,
            },
        }
    }

    /// What a model thinks of the pairs decides which they are, or their order.
    pub fn needs_scores(&self) -> bool {
        self.number().is_some() || self.fate.is_some() || self.range.is_some()
    }

    /// Which of a pair's numbers it sorts by.
    pub fn number(&self) -> Option<Number> {
        match self.sort {
            SortPairsBy::Scores(number) => Some(number),
            SortPairsBy::Number | SortPairsBy::Length | SortPairsBy::Labelled => None,
        }
    }

    /// Shows the pairs of this fate in its own order; all pairs in the usual one without.
    pub fn show_fate(&mut self, fate: Option<Fate>) {
        self.fate = fate;
        (self.sort, self.descending) = fate.map_or((SortPairsBy::Number, false), |fate| {
            let (number, descending) = fate.order();
            (SortPairsBy::Scores(number), descending)
        });
    }

    /// Scores are no longer shown: nothing can be asked of them.
    pub fn without_scores(&mut self) {
        self.range = None;
        if self.fate.is_some() || matches!(self.sort, SortPairsBy::Scores(_)) {
            self.show_fate(None);
        }
    }

    /// Whether anything is left out.
    pub fn narrows(&self) -> bool {
        *self != Self { sort: self.sort, descending: self.descending, ..Self::default() }
    }

    /// How many of the filters behind “More” narrow.
    pub fn more(&self) -> usize {
        let length = self.shortest > 0 || self.longest > 0;
        let more = [
            self.strength.is_some(),
            self.source.is_some(),
            length,
            self.changed_since.is_some(),
            self.range.is_some(),
        ];
        more.into_iter().filter(|narrows| *narrows).count()
    }

    /// Everything again, in the same order.
    pub fn clear(&mut self) {
        *self = Self { sort: self.sort, descending: self.descending, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_becomes_a_query() {
        let filter =
            Filter { search: "  ferry ".to_owned(), shown: ListedPairs::Ties, descending: true, ..Filter::default() };
        let query = filter.query(SplitRule::default());
        assert_eq!(query.search, "ferry");
        assert_eq!(query.verdict, Some(VerdictFilter::Is(VerdictState::Tie)));
        assert!(query.sort.descending);
        assert!(filter.narrows());
        let mut cleared = filter;
        cleared.clear();
        assert!(!cleared.narrows());
        assert!(cleared.descending, "the order is no filter");
        assert_eq!(Filter::default().query(SplitRule::default()), PairQuery::default());
    }

    #[test]
    fn a_bound_of_nothing_is_none_and_the_rule_comes_from_elsewhere() {
        let rule = SplitRule { eval_fraction: 0.3, seed: 7 };
        let filter = Filter { shortest: 100, held_out: Some(true), ..Filter::default() };
        let query = filter.query(rule);
        assert_eq!((query.length, query.held_out), (Some((100, usize::MAX)), Some((rule, true))));
        assert_eq!(filter.more(), 1);
        assert!(Filter { strength: Some(Strength::Slightly), ..Filter::default() }.narrows());
    }

    #[test]
    fn nothing_is_asked_of_scores_that_are_not_shown() {
        let range = NumberBounds { number: Number::Push, least: Some(0.1), most: None };
        let mut filter = Filter { range: Some(range), ..Filter::default() };
        assert!(filter.narrows() && filter.more() == 1);
        filter.without_scores();
        assert!(!filter.narrows());
    }

    #[test]
    fn every_state_is_counted_under_its_filter() {
        let counts = Counts { unlabelled: 1, better: 2, tie: 4, both_bad: 8, skip: 16, ..Counts::default() };
        let of = |shown: ListedPairs| shown.count(&counts);
        assert_eq!(of(ListedPairs::All), 31);
        assert_eq!(of(ListedPairs::Labelled), 30);
        assert_eq!(
            [
                ListedPairs::Unlabelled,
                ListedPairs::Better,
                ListedPairs::Ties,
                ListedPairs::BothBad,
                ListedPairs::Skipped
            ]
            .map(of),
            [1, 2, 4, 8, 16]
        );
    }
}
