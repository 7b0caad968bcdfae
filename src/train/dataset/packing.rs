//! Documents packed into rows of a token budget: the micro-batches of training, scoring and evaluation.

use model::{Doc, Reads, Row, RowError};

/// One micro-batch: a packed row, and whose answers its scored segments are.
pub struct Packed<K> {
    pub row: Row,
    /// Each document's key with the number of its answers, in the row's order.
    owners: Vec<(K, usize)>,
}

impl<K: Copy> Packed<K> {
    /// All of these documents in one row, in their order.
    pub fn of(docs: &[(K, &Doc)]) -> Result<Self, RowError> {
        Self::of_for(docs, Reads::LogProbs)
    }

    fn of_for(docs: &[(K, &Doc)], reads: Reads) -> Result<Self, RowError> {
        let only: Vec<Doc> = docs.iter().map(|(_, doc)| (*doc).clone()).collect();
        let owners = docs.iter().map(|(key, doc)| (*key, doc.continuations.len())).collect();
        Ok(Self { row: Row::pack_for(&only, reads)?, owners })
    }

    /// The key of the row's only document, if it has but one.
    pub fn alone(&self) -> Option<K> {
        match self.owners.as_slice() {
            &[(key, _)] => Some(key),
            _ => None,
        }
    }

    /// The keys of the row's documents.
    pub fn owners(&self) -> impl Iterator<Item = K> {
        self.owners.iter().map(|&(key, _)| key)
    }

    /// Calls `each` with every document's key and what belongs to its answers, out of one value a scored segment.
    pub fn by_owner<'a, T>(&'a self, segments: &'a [T]) -> impl Iterator<Item = (K, &'a [T])> {
        let mut start = 0;
        self.owners.iter().map(move |&(key, answers)| {
            start += answers;
            (key, &segments[start - answers..start])
        })
    }
}

/// Packs whole documents, longest first, each row up to `budget` tokens. A document beyond the budget has its own row.
///
/// The result depends on the documents and the budget alone, so a resumed run packs the same rows.
pub fn pack<'a, K: Copy>(
    docs: impl IntoIterator<Item = (K, &'a Doc)>,
    budget: usize,
) -> Result<Vec<Packed<K>>, RowError> {
    pack_for(docs, budget, Reads::LogProbs)
}

/// The same to have what `reads` says.
pub fn pack_for<'a, K: Copy>(
    docs: impl IntoIterator<Item = (K, &'a Doc)>,
    budget: usize,
    reads: Reads,
) -> Result<Vec<Packed<K>>, RowError> {
    let mut docs: Vec<(K, &Doc)> = docs.into_iter().collect();
    docs.sort_by_key(|(_, doc)| std::cmp::Reverse(doc.tokens_for(reads))); // stable
    let mut rows = Vec::new();
    let mut rest = docs.as_slice();
    while !rest.is_empty() {
        let mut tokens = 0;
        let fits = rest
            .iter()
            .take_while(|(_, doc)| {
                tokens += doc.tokens_for(reads);
                tokens <= budget
            })
            .count()
            .max(1);
        let (together, later) = rest.split_at(fits);
        rows.push(Packed::of_for(together, reads)?);
        rest = later;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use model::Tokens;

    use super::*;

    fn doc(prefix: usize, answers: &[usize]) -> Doc {
        Doc::new(vec![1; prefix], answers.iter().map(|&len| vec![2; len]))
    }

    #[test]
    fn rows_keep_to_the_budget_and_lose_nothing() {
        let docs: Vec<Doc> = (1..30).map(|n| doc(n % 5 + 1, &[n % 7 + 1, 2])).collect();
        let rows = pack(docs.iter().enumerate(), 24).unwrap();
        let mut met: Vec<usize> = Vec::new();
        for packed in &rows {
            assert!(packed.row.tokens() <= 24);
            let segments: Vec<usize> = packed.row.scored().to_vec();
            for (index, lengths) in packed.by_owner(&segments) {
                let expected: Vec<usize> = docs[index].continuations.iter().map(Tokens::len).collect();
                assert_eq!(lengths, expected, "segments go back to their document");
                met.push(index);
            }
        }
        met.sort_unstable();
        assert_eq!(met, (0..docs.len()).collect::<Vec<_>>());
        assert!(rows.len() < docs.len() / 2, "rows are shared");
    }

    #[test]
    fn a_document_beyond_the_budget_goes_alone() {
        let docs = [doc(3, &[2]), doc(50, &[2, 2]), doc(3, &[2])];
        let rows = pack(docs.iter().enumerate(), 10).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].row.tokens(), 52);
    }
}
