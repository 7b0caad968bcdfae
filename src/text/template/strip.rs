//! White space as Python sees it, and texts without it at their ends.

/// `str.isspace` of Python: Unicode's white space and four separators of ASCII.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// Where white space, or what is asked for, is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    Start,
    End,
    Both,
}

/// `str.strip` and its halves; without characters, white space.
pub fn strip<'a>(text: &'a str, chars: Option<&str>, ends: Ends) -> &'a str {
    let goes = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    match ends {
        Ends::Start => text.trim_start_matches(goes),
        Ends::End => text.trim_end_matches(goes),
        Ends::Both => text.trim_matches(goes),
    }
}
