//! What visitors of shops, inns and sights would rather hear, and how sure they are of it.
//!
//! Every answer has a worth; the label is drawn from the difference of two, plus the logistic noise of Bradley and
//! Terry. So most visitors agree where much differs, and toss a coin where little does: no model can foretell all
//! labels.

use nudge::data::{Choice, Strength};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::manner::Manner;

/// An answer that is compared, with what the visitor notices of it.
pub struct Draft {
    pub text: String,
    pub manner: Manner,
    pub is_true: bool,
}

/// In units of the noise: a difference of 1 convinces 73 of 100.
const HOST: f64 = 2.2;
const DECKHAND: f64 = 0.6;
const LEDGER: f64 = 0.0;
/// A visitor who finds the door closed.
const FALSE: f64 = -1.6;
/// Being told where the door is helps.
const SHOWS_THE_WAY: f64 = 0.6;

/// Differences as they feel, above which a label is called so.
const SLIGHTLY: f64 = 0.3;
const CLEARLY: f64 = 1.2;
const STRONGLY: f64 = 2.8;

fn worth(draft: &Draft) -> f64 {
    let manner = match draft.manner {
        Manner::Host => HOST,
        Manner::Deckhand => DECKHAND,
        Manner::Ledger => LEDGER,
    };
    let truth = if draft.is_true { 0.0 } else { FALSE };
    let way = if ["see it", "look for it"].iter().any(|way| draft.text.contains(way)) { SHOWS_THE_WAY } else { 0.0 };
    manner + truth + way
}

/// What one visitor says of two answers.
pub fn choose(drafts: [&Draft; 2], rng: &mut ChaCha8Rng) -> Choice {
    if drafts.iter().all(|draft| !draft.is_true) {
        return Choice::BothBad;
    }
    let felt = worth(drafts[0]) - worth(drafts[1]) + logistic(rng);
    let strength = match felt.abs() {
        size if size < SLIGHTLY => return Choice::Tie,
        size if size < CLEARLY => Strength::Slightly,
        size if size < STRONGLY => Strength::Clearly,
        _ => Strength::Strongly,
    };
    let chosen = usize::from(felt < 0.0);
    Choice::Better { chosen, rejected: 1 - chosen, strength }
}

/// 1 where the chosen one is worth more, as most visitors find; ½ where both are worth the same.
pub fn share_that_says(drafts: [&Draft; 2], chosen: usize) -> f64 {
    let more = worth(drafts[chosen]) - worth(drafts[1 - chosen]);
    if more > 0.0 {
        1.0
    } else if more < 0.0 {
        0.0
    } else {
        0.5
    }
}

/// The label turned round, as by a slip of the finger.
pub fn flipped(choice: Choice) -> Choice {
    match choice {
        Choice::Better { chosen, rejected, strength } => {
            Choice::Better { chosen: rejected, rejected: chosen, strength }
        }
        Choice::Tie | Choice::BothBad | Choice::Skip => choice,
    }
}

fn logistic(rng: &mut ChaCha8Rng) -> f64 {
    let share: f64 = rng.random_range(1e-6..1.0 - 1e-6);
    (share / (1.0 - share)).ln()
}
