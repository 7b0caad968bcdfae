//! Documents packed into one row of tokens: each prompt once, its answers behind it, no padding.

use ::kernels::{Layout, Segment};

use super::tokens::Tokens;

/// A prompt and the answers that continue it. A whole text is its first token and one continuation.
///
/// Whoever builds it shares the longest common token prefix of the answers' sequences, so it is exact even where the
/// template or the tokenizer blurs the border between prompt and answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doc {
    /// At least one token.
    pub prefix: Tokens,
    /// At least one, none of them empty. Each token of them is scored.
    pub continuations: Vec<Tokens>,
}

impl Doc {
    pub fn new<T: Into<Tokens>>(prefix: impl Into<Tokens>, continuations: impl IntoIterator<Item = T>) -> Self {
        Self { prefix: prefix.into(), continuations: continuations.into_iter().map(Into::into).collect() }
    }

    /// All its ids: of the prefix, then of each answer.
    pub(super) fn tokens_of(&self) -> impl Iterator<Item = &Tokens> {
        std::iter::once(&self.prefix).chain(&self.continuations)
    }

    pub(super) fn tokens_mut(&mut self) -> impl Iterator<Item = &mut Tokens> {
        std::iter::once(&mut self.prefix).chain(&mut self.continuations)
    }

    /// A text in which every token but the first is scored; `None` below two tokens.
    pub fn text(ids: &[u32]) -> Option<Self> {
        let (first, rest) = ids.split_first().filter(|(_, rest)| !rest.is_empty())?;
        Some(Self::new(vec![*first], [rest]))
    }

    /// Rows this document takes in a packed row.
    pub fn tokens(&self) -> usize {
        // The last token of a continuation predicts nothing that is scored, so it takes no row.
        self.prefix.len() + self.continuations.iter().map(|ids| ids.len().saturating_sub(1)).sum::<usize>()
    }

    /// The same where a row is read so.
    pub fn tokens_for(&self, reads: Reads) -> usize {
        self.tokens() + if reads.has_ends() { self.continuations.len() } else { 0 }
    }

    /// Tokens of this document that are scored.
    pub fn answer_tokens(&self) -> usize {
        self.continuations.iter().map(Tokens::len).sum()
    }
}

/// What is read of a row's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reads {
    /// The log-prob of each token of each answer.
    #[default]
    LogProbs,
    /// The scalar head at the last token of each answer: one number an answer.
    Ends,
    /// The scalar head at the state before each token of each answer: as many numbers as tokens.
    States,
    /// And at the last token: one number more.
    StatesAndEnds,
}

impl Reads {
    /// Whether the last token of an answer has a row of its own; it predicts nothing that is scored.
    fn has_ends(self) -> bool {
        matches!(self, Self::Ends | Self::StatesAndEnds)
    }

    pub fn is_scalar(self) -> bool {
        self != Self::LogProbs
    }
}

/// A document that cannot be packed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("Document {0} of the row has an empty prefix; it needs at least one token")]
    EmptyPrefix(usize),
    #[error("Document {0} of the row has an empty answer; set the pair aside")]
    EmptyContinuation(usize),
    #[error("There is nothing to score in this row")]
    Nothing,
    #[error("The row cannot be laid out: {0}")]
    Layout(String),
}

/// One packed row: what [`super::Policy::forward`] reads.
#[derive(Debug, Clone)]
pub struct Row {
    /// T token ids.
    pub(super) tokens: Vec<u32>,
    pub(super) layout: Layout,
    /// Of each token's document: tokens from its first to the last of its longest answer.
    pub(super) lengths: Vec<u32>,
    /// The rows that anything is read of, ascending: all that the last block has to finish.
    needed: Vec<u32>,
    /// A entries: where each row that is read stands in `needed`. The last prompt row occurs once per answer.
    pub(super) head_rows: Vec<u32>,
    /// A entries: the scored tokens. None where the scalar head is read.
    pub(super) targets: Vec<u32>,
    /// What is read of each answer, in the order doc 0 cont 0, doc 0 cont 1, doc 1 cont 0 …
    pub(super) scored: Vec<usize>,
    pub(super) reads: Reads,
}

impl Row {
    /// Packs documents one after the other, to have the log-probs of their answers.
    pub fn pack(docs: &[Doc]) -> Result<Self, RowError> {
        Self::pack_for(docs, Reads::LogProbs)
    }

    /// The same to have what `reads` says.
    pub fn pack_for(docs: &[Doc], reads: Reads) -> Result<Self, RowError> {
        let total = docs.iter().map(|doc| doc.tokens_for(reads)).sum();
        let answers = docs.iter().map(Doc::answer_tokens).sum();
        let mut tokens: Vec<u32> = Vec::with_capacity(total);
        let mut segments = Vec::new();
        let mut lengths: Vec<u32> = Vec::with_capacity(total);
        let mut read = Vec::with_capacity(answers);
        let mut targets = Vec::new();
        let mut scored = Vec::new();
        for (index, doc) in docs.iter().enumerate() {
            if doc.prefix.is_empty() {
                return Err(RowError::EmptyPrefix(index));
            }
            let prefix = tokens.len()..tokens.len() + doc.prefix.len();
            tokens.extend(&doc.prefix);
            segments.push(Segment { start: prefix.start, len: prefix.len(), prefix: 0..0 });
            for ids in &doc.continuations {
                let Some((_, before_last)) = ids.split_last() else {
                    return Err(RowError::EmptyContinuation(index));
                };
                let inputs = if reads.has_ends() { ids } else { before_last };
                let start = tokens.len();
                let rows = (start..start + inputs.len()).map(|row| row as u32);
                let already = read.len();
                if reads == Reads::Ends {
                    read.push((tokens.len() + inputs.len() - 1) as u32);
                } else {
                    read.push((prefix.end - 1) as u32);
                    read.extend(rows);
                }
                if reads == Reads::LogProbs {
                    targets.extend(ids);
                }
                scored.push(read.len() - already);
                if !inputs.is_empty() {
                    tokens.extend(inputs);
                    segments.push(Segment { start, len: inputs.len(), prefix: prefix.clone() });
                }
            }
            let longest = doc.continuations.iter().map(Tokens::len).max().unwrap_or(0);
            lengths.resize(tokens.len(), (doc.prefix.len() + longest) as u32);
        }
        if read.is_empty() {
            return Err(RowError::Nothing);
        }
        let mut needed = read.clone();
        needed.sort_unstable();
        needed.dedup();
        let head_rows = read.iter().map(|row| needed.partition_point(|other| other < row) as u32).collect();
        let layout = Layout::new(segments).map_err(|error| RowError::Layout(error.to_string()))?;
        Ok(Self { tokens, layout, lengths, needed, head_rows, targets, scored, reads })
    }

    /// The rows that are read; `None` when all are.
    pub(super) fn needed(&self) -> Option<&[u32]> {
        (self.needed.len() < self.tokens.len()).then_some(self.needed.as_slice())
    }

    /// Where the row that is read in this place stands among all.
    pub(super) fn place(&self, read: usize) -> usize {
        self.needed[self.head_rows[read] as usize] as usize
    }

    /// T, the tokens that are computed.
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// A, the tokens that are scored, or the numbers that are read of the scalar head.
    pub fn answer_tokens(&self) -> usize {
        self.head_rows.len()
    }

    /// How many of them belong to each answer, in their order.
    pub fn scored(&self) -> &[usize] {
        &self.scored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_prompt_row_predicts_the_first_token_of_every_answer() {
        let docs = [Doc::new(vec![1, 2, 3], vec![vec![10, 11, 12], vec![20]]), Doc::text(&[5, 6, 7]).unwrap()];
        let row = Row::pack(&docs).unwrap();
        assert_eq!(row.tokens, [1, 2, 3, 10, 11, 5, 6]);
        assert_eq!(row.needed(), Some(&[2, 3, 4, 5, 6][..]));
        assert_eq!(row.head_rows, [0, 1, 2, 0, 3, 4]);
        assert_eq!(row.targets, [10, 11, 12, 20, 6, 7]);
        assert_eq!(row.scored, [3, 1, 2]);
        assert_eq!(row.layout.positions(), [0, 1, 2, 3, 4, 0, 1]);
        assert_eq!(row.lengths, [6, 6, 6, 6, 6, 3, 3]);
        assert_eq!(row.tokens(), docs.iter().map(Doc::tokens).sum::<usize>());
        assert_eq!(row.answer_tokens(), docs.iter().map(Doc::answer_tokens).sum::<usize>());
    }

    #[test]
    fn the_scalar_head_is_read_at_ends_and_at_states() {
        let docs = [Doc::new(vec![1, 2, 3], vec![vec![10, 11, 12], vec![20]])];
        let ends = Row::pack_for(&docs, Reads::Ends).unwrap();
        assert_eq!(ends.tokens, [1, 2, 3, 10, 11, 12, 20]);
        assert_eq!(
            (ends.needed(), &ends.head_rows[..], &ends.scored[..]),
            (Some(&[5, 6][..]), &[0, 1][..], &[1, 1][..])
        );
        assert_eq!(ends.layout.positions(), [0, 1, 2, 3, 4, 5, 3]);
        assert_eq!(ends.tokens(), docs[0].tokens_for(Reads::Ends));
        let states = Row::pack_for(&docs, Reads::States).unwrap();
        assert_eq!(states.tokens, Row::pack(&docs).unwrap().tokens);
        assert_eq!((&states.head_rows[..], &states.scored[..]), (&[0, 1, 2, 0][..], &[3, 1][..]));
        let both = Row::pack_for(&docs, Reads::StatesAndEnds).unwrap();
        assert_eq!((&both.head_rows[..], &both.scored[..]), (&[0, 1, 2, 3, 0, 4][..], &[4, 2][..]));
        assert!(both.targets.is_empty());
    }

    #[test]
    fn what_cannot_be_packed_is_named() {
        let doc = |prefix: &[u32], answer: &[u32]| Doc::new(prefix.to_vec(), vec![answer.to_vec()]);
        let good = doc(&[1], &[2]);
        assert_eq!(Row::pack(&[good.clone(), doc(&[], &[2])]).unwrap_err(), RowError::EmptyPrefix(1));
        assert_eq!(Row::pack(&[good, doc(&[1], &[])]).unwrap_err(), RowError::EmptyContinuation(1));
        assert_eq!(Row::pack(&[]).unwrap_err(), RowError::Nothing);
        assert!(Doc::text(&[1]).is_none());
    }
}
