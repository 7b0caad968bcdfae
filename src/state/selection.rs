//! Rows of the table that are chosen together, to have the same done to all of them.

use std::{ops::Range, sync::Arc};

use data::PairId;

/// Where a pair stands in a list that is drawn in every frame: looked for once, not each time.
#[derive(Debug)]
pub struct RowOf<T> {
    found: Option<(Arc<Vec<T>>, PairId, Option<usize>)>,
}

impl<T> Default for RowOf<T> {
    fn default() -> Self {
        Self { found: None }
    }
}

impl<T> RowOf<T> {
    /// `id`: of which pair a row is.
    pub fn get(&mut self, list: &Arc<Vec<T>>, pair: PairId, id: impl Fn(&T) -> PairId) -> Option<usize> {
        if let Some((known, of, row)) = &self.found
            && *of == pair
            && Arc::ptr_eq(known, list)
        {
            return *row;
        }
        let row = list.iter().position(|item| id(item) == pair);
        self.found = Some((Arc::clone(list), pair, row));
        row
    }

    /// It stands there: in a list of a million nothing is looked for.
    pub fn know(&mut self, list: &Arc<Vec<T>>, pair: PairId, row: usize) {
        self.found = Some((Arc::clone(list), pair, Some(row)));
    }
}

/// Stretches of one list: a million chosen rows are one stretch.
#[derive(Debug, Clone)]
pub struct Selection {
    list: Arc<Vec<PairId>>,
    /// Sorted, none empty, no two touching.
    stretches: Vec<Range<usize>>,
    /// Where a stretch that is drawn out begins, and where it ends now.
    anchor: usize,
    end: usize,
}

impl Selection {
    /// One row.
    pub fn of(list: &Arc<Vec<PairId>>, row: usize) -> Self {
        Self { list: Arc::clone(list), stretches: std::iter::once(row..row + 1).collect(), anchor: row, end: row }
    }

    pub fn all(list: &Arc<Vec<PairId>>) -> Self {
        let end = list.len().saturating_sub(1);
        let all = Some(0..list.len()).filter(|all| !all.is_empty());
        Self { list: Arc::clone(list), stretches: all.into_iter().collect(), anchor: 0, end }
    }

    /// Whether its places are those of this list.
    pub fn is_of(&self, list: &Arc<Vec<PairId>>) -> bool {
        Arc::ptr_eq(&self.list, list)
    }

    pub fn len(&self) -> usize {
        self.stretches.iter().map(ExactSizeIterator::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    pub fn contains(&self, row: usize) -> bool {
        let after = self.stretches.partition_point(|stretch| stretch.start <= row);
        after.checked_sub(1).is_some_and(|at| self.stretches[at].contains(&row))
    }

    /// Takes a row in, or out.
    pub fn toggle(&mut self, row: usize) {
        let mut next = Vec::with_capacity(self.stretches.len() + 1);
        if self.contains(row) {
            for stretch in self.stretches.drain(..) {
                if stretch.contains(&row) {
                    next.extend([stretch.start..row, row + 1..stretch.end].into_iter().filter(|part| !part.is_empty()));
                } else {
                    next.push(stretch);
                }
            }
        } else {
            next.append(&mut self.stretches);
            next.push(row..row + 1);
        }
        self.stretches = joined(next);
        (self.anchor, self.end) = (row, row);
    }

    /// From where the last stretch began to this row, and nothing else.
    pub fn draw_out(&mut self, row: usize) {
        let row = row.min(self.list.len().saturating_sub(1));
        self.stretches = std::iter::once(self.anchor.min(row)..self.anchor.max(row) + 1).collect();
        self.end = row;
    }

    /// The row that was drawn out to.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The chosen pairs in the order of the list.
    pub fn ids(&self) -> Vec<PairId> {
        self.stretches.iter().flat_map(|stretch| &self.list[stretch.clone()]).copied().collect()
    }
}

fn joined(mut stretches: Vec<Range<usize>>) -> Vec<Range<usize>> {
    stretches.sort_unstable_by_key(|stretch| stretch.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        match joined.last_mut() {
            Some(last) if last.end >= stretch.start => last.end = last.end.max(stretch.end),
            _ => joined.push(stretch),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(count: i64) -> Arc<Vec<PairId>> {
        Arc::new((10..10 + count).map(PairId).collect())
    }

    fn rows(selection: &Selection) -> Vec<usize> {
        (0..12).filter(|row| selection.contains(*row)).collect()
    }

    #[test]
    fn a_row_is_looked_for_once_a_list() {
        let list = Arc::new(vec![PairId(7), PairId(3), PairId(5)]);
        let looks = std::cell::Cell::new(0);
        let id = |pair: &PairId| {
            looks.set(looks.get() + 1);
            *pair
        };
        let mut row = RowOf::default();
        for _ in 0..9 {
            assert_eq!(row.get(&list, PairId(5), id), Some(2));
        }
        assert_eq!(looks.get(), 3);
        assert_eq!(row.get(&list, PairId(9), id), None);
        assert_eq!(row.get(&list, PairId(3), id), Some(1));
        assert_eq!(row.get(&Arc::new(vec![PairId(3)]), PairId(3), id), Some(0), "another list");
        looks.set(0);
        row.know(&list, PairId(7), 0);
        assert_eq!((row.get(&list, PairId(7), id), looks.get()), (Some(0), 0));
    }

    #[test]
    fn rows_are_taken_in_and_out() {
        let mut selection = Selection::of(&list(9), 3);
        for row in [5, 4, 8] {
            selection.toggle(row);
        }
        assert_eq!((rows(&selection), selection.stretches.len()), (vec![3, 4, 5, 8], 2));
        selection.toggle(4);
        selection.toggle(8);
        assert_eq!((rows(&selection), selection.len()), (vec![3, 5], 2));
        assert_eq!(selection.ids(), [PairId(13), PairId(15)]);
        selection.toggle(3);
        selection.toggle(5);
        assert!(selection.is_empty());
    }

    #[test]
    fn a_stretch_is_drawn_out_both_ways_from_where_it_began() {
        let mut selection = Selection::of(&list(9), 3);
        selection.draw_out(5);
        assert_eq!((rows(&selection), selection.end()), (vec![3, 4, 5], 5));
        selection.draw_out(1);
        assert_eq!(rows(&selection), [1, 2, 3]);
        selection.draw_out(99);
        assert_eq!(rows(&selection), [3, 4, 5, 6, 7, 8]);
        selection.toggle(0);
        selection.draw_out(2);
        assert_eq!(rows(&selection), [0, 1, 2], "from the row that was taken in last");
    }

    #[test]
    fn all_is_one_stretch_and_belongs_to_its_list() {
        let (one, other) = (list(1000), list(1000));
        let all = Selection::all(&one);
        assert_eq!((all.len(), all.stretches.len(), all.ids().len()), (1000, 1, 1000));
        assert!(all.is_of(&one) && !all.is_of(&other));
        assert!(Selection::all(&list(0)).is_empty());
    }
}
