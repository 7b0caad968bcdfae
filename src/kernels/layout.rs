//! Who sees whom in a packed row.

use std::ops::Range;

use super::{KernelError, Result};

/// A run of tokens in a packed row: a prompt, an answer, or a whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// First row.
    pub start: usize,
    /// Number of rows, at least 1.
    pub len: usize,
    /// Rows of the segment that every token of this one also sees (the prompt of an answer); empty for a prompt.
    pub prefix: Range<usize>,
}

impl Segment {
    /// The rows of this segment.
    pub fn rows(&self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

/// One packed row of `T` tokens: segments one after the other, without padding. A token sees the prefix of its segment
/// and the tokens of its own segment up to itself; answers of one prompt are blind to each other. Its position is
/// counted along that chain, so chosen and rejected answer start at the same position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    segments: Vec<Segment>,
    positions: Vec<u32>,
}

impl Layout {
    /// Checks that the segments fill the row without gap, and that every prefix is an earlier segment which has no
    /// prefix itself.
    pub fn new(segments: Vec<Segment>) -> Result<Self> {
        let fault = |message: String| Err(KernelError::Value { operation: "layout", message });
        let mut positions = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            if segment.start != positions.len() {
                return fault(format!("segment {index} starts at row {}, expected {}", segment.start, positions.len()));
            }
            if segment.len == 0 {
                return fault(format!("segment {index} is empty"));
            }
            let is_earlier_root = |s: &Segment| s.prefix.is_empty() && s.rows() == segment.prefix;
            if !segment.prefix.is_empty() && !segments[..index].iter().any(is_earlier_root) {
                return fault(format!("the prefix {:?} of segment {index} is no earlier prompt", segment.prefix));
            }
            let first = segment.prefix.len() as u32;
            positions.extend(first..first + segment.len as u32);
        }
        Ok(Self { segments, positions })
    }

    /// One text alone in its row.
    pub fn single(tokens: usize) -> Result<Self> {
        Self::new(vec![Segment { start: 0, len: tokens, prefix: 0..0 }])
    }

    /// Number of tokens in the row.
    pub fn tokens(&self) -> usize {
        self.positions.len()
    }

    /// Position of each token along its own chain.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// The segments in row order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start: usize, len: usize, prefix: Range<usize>) -> Segment {
        Segment { start, len, prefix }
    }

    #[test]
    fn positions_go_on_after_the_shared_prompt() {
        let layout = Layout::new(vec![
            segment(0, 3, 0..0),
            segment(3, 2, 0..3),
            segment(5, 1, 0..3),
            segment(6, 2, 0..0),
            segment(8, 1, 6..8),
        ]);
        assert_eq!(layout.unwrap().positions(), [0, 1, 2, 3, 4, 3, 0, 1, 2]);
        assert_eq!(Layout::single(3).unwrap().positions(), [0, 1, 2]);
    }

    #[test]
    fn a_layout_that_makes_no_sense_is_refused_with_a_reason() {
        let reason = |segments: Vec<Segment>| Layout::new(segments).unwrap_err().to_string();
        assert!(reason(vec![segment(1, 2, 0..0)]).contains("starts at row 1, expected 0"));
        assert!(reason(vec![segment(0, 0, 0..0)]).contains("segment 0 is empty"));
        assert!(reason(vec![segment(0, 3, 0..0), segment(3, 1, 0..2)]).contains("prefix 0..2"));
        // An answer cannot be the prompt of another answer.
        assert!(reason(vec![segment(0, 1, 0..0), segment(1, 1, 0..1), segment(2, 1, 1..2)]).contains("segment 2"));
    }
}
