//! Texts that end an answer, found across the borders of its tokens.

/// Watches an answer for its stop texts while it arrives, and lets through what cannot be the beginning of one.
#[derive(Debug, Clone)]
pub struct StopTexts<'a> {
    texts: &'a [String],
    held: String,
}

impl<'a> StopTexts<'a> {
    /// Empty texts are not looked for.
    pub fn new(texts: &'a [String]) -> Self {
        Self { texts, held: String::new() }
    }

    /// What can be shown now that this text came, and whether a stop text was found. The answer ends before it.
    pub fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let found = self.wanted().filter_map(|stop| self.held.find(stop)).min();
        if let Some(at) = found {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let waiting = self.wanted().map(|stop| self.begun(stop)).max().unwrap_or(0);
        let kept = self.held.split_off(self.held.len() - waiting);
        (std::mem::replace(&mut self.held, kept), false)
    }

    /// What was held back when the answer ended otherwise.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    fn wanted(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str).filter(|text| !text.is_empty())
    }

    /// Bytes at the end of what is held with which `stop` begins.
    fn begun(&self, stop: &str) -> usize {
        stop.char_indices().map(|(at, _)| at).rev().find(|at| self.held.ends_with(&stop[..*at])).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut watch = StopTexts::new(&stops);
        let mut shown = Vec::new();
        for piece in pieces {
            let (text, ended) = watch.push(piece);
            shown.push(text);
            if ended {
                return (shown, true);
            }
        }
        shown.push(watch.finish());
        (shown, false)
    }

    #[test]
    fn a_stop_text_is_found_across_pieces_and_never_shown() {
        let (shown, ended) = watch(&["\nUser:"], &["Hi", " there\n", "Us", "er: what"]);
        assert!(ended);
        assert_eq!(shown, ["Hi", " there", "", ""]);
    }

    #[test]
    fn what_only_looked_like_one_is_shown() {
        let (shown, ended) = watch(&["abc", ""], &["xab", "ab", "d"]);
        assert!(!ended);
        assert_eq!(shown, ["x", "ab", "abd", ""]);
        assert_eq!(watch(&["abc"], &["xab"]).0, ["x", "ab"]);
    }

    #[test]
    fn the_first_of_several_ends_it_and_characters_stay_whole() {
        assert_eq!(watch(&["水木", "é"], &["a水", "火é水木"]), (vec!["a".into(), "水火".into()], true));
        assert_eq!(watch(&[], &["all", " of it"]).0.concat(), "all of it");
    }
}
