//! A checkpoint could not be saved: asks whoever sits at the terminal what to do, and stops where nobody does.

use std::{
    io::{IsTerminal as _, stderr, stdin},
    path::PathBuf,
    sync::Arc,
};

use engine::protocol::{RunControl, SaveAnswer};

use super::output;

pub struct Unsaved {
    control: Arc<RunControl>,
    /// Somebody can be asked.
    is_attended: bool,
}

impl Unsaved {
    pub fn new(control: Arc<RunControl>, is_json: bool) -> Self {
        Self { control, is_attended: !is_json && stdin().is_terminal() && stderr().is_terminal() }
    }

    /// What to do, or nothing when the run was told to stop: it tries once more, then ends with a sentence.
    pub fn ask(&self) -> Option<SaveAnswer> {
        if self.is_attended {
            output::note(
                "The run waits with its weights in memory. Enter: try again. A folder: save there from now on. \
                 g: go on without. q: stop.",
            );
            let mut line = String::new();
            if stdin().read_line(&mut line).is_ok_and(|bytes| bytes > 0)
                && let Some(answer) = meaning(line.trim())
            {
                return Some(answer);
            }
        }
        self.control.stop();
        None
    }
}

fn meaning(typed: &str) -> Option<SaveAnswer> {
    match typed {
        "" => Some(SaveAnswer::TryAgain),
        "g" => Some(SaveAnswer::GoOn),
        "q" => None,
        folder => Some(SaveAnswer::Elsewhere(PathBuf::from(folder))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_an_answer_and_anything_else_a_folder() {
        assert_eq!(meaning(""), Some(SaveAnswer::TryAgain));
        assert_eq!(meaning("g"), Some(SaveAnswer::GoOn));
        assert_eq!(meaning("q"), None);
        let folder = SaveAnswer::Elsewhere(PathBuf::from("/mnt/disk"));
        assert_eq!(meaning("/mnt/disk"), Some(folder));
    }
}
