//! What is known of this machine's graphics cards: how each did when it was tried.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::super::gpu::{CardInfo, Rates};

/// Whether the processor in disguise counts as a card: `NUDGE_GPU=software`, for tests and the curious.
pub fn counts_software() -> bool {
    std::env::var_os("NUDGE_GPU").is_some_and(|value| value == "software")
}

/// How a graphics card did when it was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number: `gpu:0` is the first.
    pub number: usize,
    pub card: CardInfo,
    /// How fast it is, or a sentence about what went wrong.
    pub rates: Result<Rates, String>,
}

/// What is known of this machine's cards. Nothing until somebody has tried them.
static TRIALS: Mutex<Option<Trials>> = Mutex::new(None);

/// The trials of all cards, and what the processor did in the same minute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trials {
    pub cards: Vec<Trial>,
    /// Of the same products; nothing where no card was worth the comparison.
    pub processor: Option<Rates>,
}

impl Trials {
    /// How much quicker than the processor a card has to be to be chosen by itself.
    pub const WORTH: f64 = 1.5;

    /// The quickest card that computes rightly, is no software and is worth it.
    pub fn best(&self) -> Option<&Trial> {
        let processor = self.processor?.of_step();
        let rate = |trial: &Trial| trial.rates.as_ref().map_or(0.0, Rates::of_step);
        let worth = |trial: &&Trial| !trial.card.is_software && rate(trial) >= Self::WORTH * processor;
        self.cards.iter().filter(worth).max_by(|a, b| rate(a).total_cmp(&rate(b)))
    }

    /// One sentence a card.
    pub fn in_words(&self) -> Vec<String> {
        self.cards.iter().map(|trial| self.told(trial)).collect()
    }

    fn told(&self, trial: &Trial) -> String {
        let Trial { number, card, rates } = trial;
        let name = format!("gpu:{number} is {} ({})", card.name, card.backend);
        match (rates, &self.processor) {
            (Err(fault), _) if card.is_software && !counts_software() => format!("{name}: {fault}; it is not used"),
            (Err(fault), _) => format!("{name}: {fault}; it is not used until `nudge probe-gpu` has tried it again"),
            (Ok(rates), Some(processor)) => {
                let disguise = if card.is_software { ", but is the processor in disguise" } else { "" };
                let times = rates.of_step() / processor.of_step();
                let each = rates.in_words(processor);
                let memory = card.memory.in_words();
                format!(
                    "{name}: computes rightly{disguise}; {times:.2} times the processor's speed in a step ({each}); {memory}"
                )
            }
            (Ok(rates), None) => format!("{name}: computes rightly, {:.0} GFLOP/s in a step", rates.of_step()),
        }
    }
}

/// Makes known how the cards of this machine did.
pub fn remember(trials: Trials) {
    *TRIALS.lock().unwrap_or_else(PoisonError::into_inner) = Some(trials);
}

/// How the cards of this machine did, if somebody has tried them.
pub fn trials() -> Option<Trials> {
    TRIALS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
