//! How answers are drawn: what the ask box is set to, and what the model's makers would have.

use engine::protocol::{AnswerOptions, Sampling};

/// The settings of the ask box.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// All but the stop texts, which are [`Drawing::stops`].
    pub set: AnswerOptions,
    /// Texts that end an answer, one a line; `\n` in one is a line break, `\\` a backslash.
    pub stops: String,
    /// The model's own settings, from its `generation_config.json`; absent until they were read.
    own: Option<Sampling>,
}

impl Default for Drawing {
    fn default() -> Self {
        let set = AnswerOptions { sampling: Sampling::at(Self::VARIED), ..AnswerOptions::default() };
        Self { set, stops: String::new(), own: None }
    }
}

impl Drawing {
    /// A temperature at which answers differ and still make sense.
    pub const VARIED: f64 = 0.7;

    /// Whether the same weights always write the same.
    pub fn is_greedy(&self) -> bool {
        self.set.sampling.temperature <= 0.0 || self.set.sampling.top_k == 1
    }

    /// What to ask the engine for.
    pub fn options(&self) -> AnswerOptions {
        let lines = self.stops.lines().filter(|line| !line.is_empty());
        AnswerOptions { stop: lines.map(unescaped).collect(), ..self.set.clone() }
    }

    /// The model's own settings were read: they are the start, unless somebody has set something already.
    pub fn learn(&mut self, own: Sampling) {
        let untouched = self.is_own() || *self == Self::default();
        self.own = Some(own);
        if untouched {
            self.reset();
        }
    }

    /// Back to the model's own settings. Length and seed are not the model's to say.
    pub fn reset(&mut self) {
        if let Some(own) = self.own {
            self.set.sampling = own;
            self.stops.clear();
        }
    }

    /// Whether everything is as the model's makers would have it.
    pub fn is_own(&self) -> bool {
        self.own == Some(self.set.sampling) && self.options().stop.is_empty()
    }

    /// The model's own settings in words; nothing until they were read.
    pub fn own_in_words(&self) -> Option<String> {
        let own = self.own?;
        if own.temperature <= 0.0 {
            return Some("greedy: always the most likely token".to_owned());
        }
        let mut words = vec![format!("temperature {}", own.temperature)];
        for (said, word) in [
            (own.top_p < 1.0, format!("top p {}", own.top_p)),
            (own.top_k > 0, format!("top k {}", own.top_k)),
            (own.min_p > 0.0, format!("min p {}", own.min_p)),
            (own.repetition_penalty != 1.0, format!("repetition penalty {}", own.repetition_penalty)),
        ] {
            if said {
                words.push(word);
            }
        }
        Some(words.join(", "))
    }
}

/// `\n` and `\t` as what they stand for.
fn unescaped(line: &str) -> String {
    let mut text = String::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('\\') | None => text.push('\\'),
                Some(other) => text.extend(['\\', other]),
            },
            (letter, false) => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn makers() -> Sampling {
        Sampling { temperature: 0.6, top_p: 0.95, top_k: 20, ..Sampling::default() }
    }

    #[test]
    fn the_models_own_settings_are_the_start() {
        let mut drawing = Drawing::default();
        drawing.learn(makers());
        assert!(drawing.is_own());
        assert_eq!(drawing.set.sampling.top_k, 20);
        assert_eq!(drawing.own_in_words().unwrap(), "temperature 0.6, top p 0.95, top k 20");
        // Another project, another model.
        drawing.learn(Sampling::default());
        assert_eq!(drawing.set.sampling.temperature, 0.0);
        assert!(drawing.own_in_words().unwrap().starts_with("greedy"));
    }

    #[test]
    fn what_somebody_set_stays() {
        let mut drawing = Drawing::default();
        drawing.set.sampling.temperature = 1.2;
        drawing.learn(makers());
        assert_eq!(drawing.set.sampling.temperature, 1.2);
        assert!(!drawing.is_own());
        drawing.set.max_new_tokens = 40;
        drawing.stops = "END".to_owned();
        drawing.reset();
        assert!(drawing.is_own(), "length is not the model's to say");
        assert_eq!((drawing.set.sampling.temperature, drawing.set.max_new_tokens), (0.6, 40));
    }

    #[test]
    fn stop_texts_stand_one_a_line() {
        let drawing = Drawing { stops: "###\n\n\\n\\nUser:\nC:\\\\dir \\d".to_owned(), ..Drawing::default() };
        let stop = drawing.options().stop;
        assert_eq!(stop, ["###", "\n\nUser:", "C:\\dir \\d"]);
    }
}
