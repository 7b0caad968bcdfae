//! The table of pairs besides its filter: which rows are chosen together, filters kept by name, where pairs came from.

use std::{collections::BTreeMap, sync::Arc};

use data::{PairId, SplitRule, config::DataConfig};
use serde::{Deserialize, Serialize};
use store::{Bulk, PairSource, Revision};
use train::objective::Number;

use super::{
    filter::Filter,
    labelling::ScrollBy,
    selection::{RowOf, Selection},
};

/// Rows that a page is.
pub const PAGE: usize = 15;

/// What the project says about its table, as far as the screen has asked.
#[derive(Debug, Default)]
pub struct TableData {
    /// Where pairs came from, as of a revision; empty while it is being read.
    pub sources: Option<(Revision, Vec<(PairSource, usize)>)>,
    pub saved: Option<SavedFilters>,
}

/// Filters by their names, as the project keeps them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SavedFilters(pub BTreeMap<String, Filter>);

impl SavedFilters {
    /// Under this name among a project's settings.
    pub const SETTING: &str = "filters";

    /// What cannot be read, as from a later version of the program, is no filter.
    pub fn from_toml(text: &str) -> Self {
        toml::from_str(text).unwrap_or_default()
    }

    pub fn to_toml(&self) -> anyhow::Result<String> {
        Ok(toml::to_string(self)?)
    }
}

/// What the table remembers between frames and starts.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TableView {
    /// The second row of filters is open.
    pub more: bool,
    /// Several rows are chosen.
    #[serde(skip)]
    pub selection: Option<Selection>,
    #[serde(skip)]
    pub row: RowOf<PairId>,
    /// Which prompts are held out and what is cut, as the launch sheet says.
    #[serde(skip)]
    pub sheet: DataConfig,
    /// What is typed for a tag of all chosen pairs, and for the name of a filter.
    #[serde(skip)]
    pub tag: String,
    #[serde(skip)]
    pub name: String,
    /// Of a pair's numbers the one that bounds are set for.
    pub number: Number,
    /// Numbers that are no columns.
    pub left_out: Vec<Number>,
    /// The caret belongs into the field for a tag.
    #[serde(skip)]
    pub tag_wants_caret: bool,
    /// Height of the table in the last frame, and whether the chosen row was among those drawn.
    #[serde(skip)]
    pub height: f32,
    #[serde(skip)]
    pub selected_drawn: bool,
    /// This row is to be scrolled to.
    #[serde(skip)]
    pub reveal: Option<usize>,
}

impl TableView {
    pub fn rule(&self) -> SplitRule {
        SplitRule { eval_fraction: self.sheet.eval_fraction, seed: self.sheet.seed }
    }

    /// Whether a number is a column, as far as there is room for it.
    pub fn has_column(&self, number: Number) -> bool {
        !self.left_out.contains(&number)
    }

    pub fn set_column(&mut self, number: Number, shown: bool) {
        self.left_out.retain(|other| *other != number);
        if !shown {
            self.left_out.push(number);
        }
    }

    /// The rows that are chosen together; absent when it is one or none, or the list is another by now.
    pub fn chosen(&self, list: &Arc<Vec<PairId>>) -> Option<&Selection> {
        self.selection.as_ref().filter(|selection| selection.is_of(list) && selection.len() > 1)
    }

    /// A row is taken in beside the one at `at` that is open, or out.
    pub fn toggle(&mut self, list: &Arc<Vec<PairId>>, at: Option<usize>, row: usize) {
        let selection = self.selection_of(list, at.unwrap_or(row));
        if at.is_some() || selection.len() > 1 {
            selection.toggle(row);
        }
    }

    /// All rows from the one that is open to this one.
    pub fn draw_out(&mut self, list: &Arc<Vec<PairId>>, at: Option<usize>, row: usize) {
        self.selection_of(list, at.unwrap_or(row)).draw_out(row);
    }

    /// The same by a key. Gives the row that was drawn out to.
    pub fn draw_out_by(&mut self, list: &Arc<Vec<PairId>>, at: Option<usize>, way: ScrollBy) -> Option<usize> {
        let last = list.len().checked_sub(1)?;
        let selection = self.selection_of(list, at.unwrap_or(0));
        selection.draw_out(moved(selection.end(), last, way));
        Some(selection.end())
    }

    fn selection_of(&mut self, list: &Arc<Vec<PairId>>, at: usize) -> &mut Selection {
        let known = self.selection.take().filter(|selection| selection.is_of(list) && !selection.is_empty());
        self.selection.insert(known.unwrap_or_else(|| Selection::of(list, at)))
    }
}

/// The row that a movement leads to.
pub fn moved(at: usize, last: usize, way: ScrollBy) -> usize {
    match way {
        ScrollBy::End => last,
        ScrollBy::Start => 0,
        ScrollBy::Down => (at + 1).min(last),
        ScrollBy::Up => at.saturating_sub(1),
        ScrollBy::PageDown => (at + PAGE).min(last),
        ScrollBy::PageUp => at.saturating_sub(PAGE),
    }
}

#[derive(Debug, Clone)]
pub enum TableCommand {
    /// Where the pairs came from.
    ReadSources,
    ReadFilters,
    /// Keep a filter under a name, or forget it.
    SaveFilter(String, Option<Box<Filter>>),
    /// The same change to many pairs, as one step of the journal.
    ChangeMany(Vec<PairId>, Bulk),
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::Strength;
    use train::objective::NumberBounds;

    fn list() -> Arc<Vec<PairId>> {
        Arc::new((1..=40).map(PairId).collect())
    }

    #[test]
    fn filters_survive_being_written_down() {
        let filter = Filter {
            search: "ferry".to_owned(),
            strength: Some(Strength::Slightly),
            source: Some(PairSource::File("a \"b\".jsonl".to_owned())),
            changed_since: Some(Revision(7)),
            range: Some(NumberBounds { number: Number::Margin, least: Some(-1.5), most: None }),
            ..Filter::default()
        };
        let by_hand = Filter { source: Some(PairSource::Hand), ..Filter::default() };
        let saved = SavedFilters([("Ferries = 2".to_owned(), filter), ("mine".to_owned(), by_hand)].into());
        assert_eq!(SavedFilters::from_toml(&saved.to_toml().unwrap()), saved);
        assert_eq!(SavedFilters::from_toml("= nonsense"), SavedFilters::default());
    }

    #[test]
    fn one_row_is_no_choice_of_several() {
        let (list, other) = (list(), list());
        let mut view = TableView::default();
        view.toggle(&list, Some(3), 5);
        assert_eq!(view.chosen(&list).unwrap().ids(), [PairId(4), PairId(6)]);
        assert!(view.chosen(&other).is_none(), "the places are those of another list");
        view.toggle(&list, Some(3), 5);
        assert!(view.chosen(&list).is_none());
        // With nothing open the first row is only chosen.
        let mut view = TableView::default();
        view.toggle(&list, None, 5);
        assert!(view.chosen(&list).is_none() && view.selection.is_some());
    }

    #[test]
    fn keys_draw_a_stretch_out() {
        let list = list();
        let mut view = TableView::default();
        assert_eq!(view.draw_out_by(&list, Some(3), ScrollBy::Down), Some(4));
        assert_eq!(view.draw_out_by(&list, Some(4), ScrollBy::Down), Some(5));
        assert_eq!(view.chosen(&list).unwrap().len(), 3);
        assert_eq!(view.draw_out_by(&list, Some(5), ScrollBy::Start), Some(0));
        assert_eq!(view.chosen(&list).unwrap().ids(), [1, 2, 3, 4].map(PairId));
        assert_eq!(view.draw_out_by(&list, Some(0), ScrollBy::PageDown), Some(15));
        assert_eq!(view.draw_out_by(&list, Some(15), ScrollBy::End), Some(39));
    }
}
