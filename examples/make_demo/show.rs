//! Prints some of the islands, to read.

use nudge::data::{Choice, Prompt, Role, Turn};

use crate::{Stream, chat, guide, project, stream, world::World};

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn show(world: &World, seed: u64) {
    let questions = chat::Question::all(world);
    println!("{} entities, {} questions\n", world.entities.len(), questions.len());
    let mut rng = stream(seed, Stream::References);
    for _ in 0..20 {
        println!("{}", turns(&chat::conversation(world, &questions, &mut rng)));
    }
    for _ in 0..6 {
        println!("{}\n", guide::paragraph(world, &mut rng));
    }
    let pairs = project::pairs(world, project::FLIPPED_LABELS, &mut stream(seed, Stream::Pairs));
    for pair in pairs.iter().take(12) {
        if let Prompt::Chat(prompt) = &pair.prompt {
            println!("{}", turns(prompt).trim_end());
        }
        for (index, answer) in pair.answers.iter().enumerate() {
            let mark = match pair.verdict.as_ref().map(|verdict| verdict.choice) {
                Some(Choice::Better { chosen, .. }) if chosen == index => "+",
                Some(Choice::Better { .. }) => "-",
                Some(Choice::Tie) => "=",
                Some(Choice::BothBad | Choice::Skip) => "x",
                None => "?",
            };
            println!("  {mark} {}", answer.text);
        }
        println!();
    }
    let lengths = |better: bool| {
        let of = |pair: &nudge::data::Pair| match pair.verdict.as_ref()?.choice {
            Choice::Better { chosen, rejected, .. } => {
                Some(pair.answers[if better { chosen } else { rejected }].text.len())
            }
            Choice::Tie | Choice::BothBad | Choice::Skip => None,
        };
        let found: Vec<usize> = pairs.iter().filter_map(of).collect();
        found.iter().sum::<usize>() as f64 / found.len() as f64
    };
    println!("{} pairs; mean length chosen {:.0}, rejected {:.0} letters", pairs.len(), lengths(true), lengths(false));
}

fn turns(turns: &[Turn]) -> String {
    turns
        .iter()
        .map(|turn| match turn.role {
            Role::User => format!("> {}\n", turn.content),
            _ => format!("  {}\n", turn.content),
        })
        .collect()
}
