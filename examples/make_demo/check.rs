//! The rules must be right about what the templates write, or nothing measured with them means anything.

use anyhow::{Result, ensure};
use nudge::judge::ToJudge;

use crate::{Stream, chat::Question, exam, manner::Manner, project, rules, stream, world::World};

/// Draws several answers to every question in every manner: only the host's must count as such, and each must count as
/// true when it is, and as false when another value stands in it.
pub fn check(world: &World, seed: u64) -> Result<()> {
    let mut rng = stream(seed, Stream::Check);
    let (asked_for, elsewhere): (Vec<_>, Vec<_>) =
        Question::all(world).into_iter().partition(|question| question.entity.topic.is_asked_for());
    let questions = [asked_for, elsewhere].concat();
    let set = exam::rule_set(&rules::text(world, &questions, &mut rng))?;
    for (index, question) in questions.iter().enumerate() {
        for manner in Manner::ALL {
            for _ in 0..6 {
                let right = question.answer(manner, &mut rng);
                let wrong = project::false_answer(world, *question, manner, &mut rng);
                for (text, is_true) in [(right, true), (wrong, false)] {
                    let said = set.judge(index, ToJudge { text: &text, ended: true });
                    // Of each pair of rules one is asked about: manner or spill, facts here or elsewhere.
                    let counts = |rules: [usize; 2]| rules.iter().any(|rule| said[*rule] == Some(true));
                    ensure!(counts([0, 1]) == (manner == Manner::Host), "the manner is mistaken, {manner:?}: {text}");
                    ensure!(counts([2, 3]) == is_true, "the truth is mistaken, {is_true}: {text}");
                }
            }
        }
    }
    Ok(())
}
