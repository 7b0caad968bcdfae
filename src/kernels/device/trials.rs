//! What is known of this machine's graphics cards: how each did when it was tried.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

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
    /// Why the cards could not even be counted: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
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

    /// One sentence a card, or one about why none is known.
    pub fn in_words(&self) -> Vec<String> {
        let fault = self.fault.iter().map(|fault| format!("{fault}; `nudge probe-gpu` tries it again"));
        fault.chain(self.cards.iter().map(|trial| self.told(trial))).collect()
    }

    /// How a card did that has this number and is no other than the one that was tried.
    pub(super) fn of(&self, number: usize, card: &CardInfo) -> Option<&Trial> {
        self.cards.iter().find(|trial| trial.number == number && trial.card.is_same_as(card))
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

/// What tries the cards of this machine when one is first asked for.
static LOOK: OnceLock<fn()> = OnceLock::new();

/// Has the cards be tried by `look`, which makes known how they did, before one is first chosen or asked for by its
/// number. Until then, and by whoever works on the processor, nothing is tried.
pub fn try_before_use(look: fn()) {
    if LOOK.set(look).is_err() {
        tracing::debug!("how cards are tried was said twice");
    }
}

/// Held by whoever tries the cards.
static LOOKING: Mutex<()> = Mutex::new(());

/// How the cards of this machine did, tried now if nobody has and somebody said how. Whoever comes meanwhile waits.
pub fn trials_before_use() -> Option<Trials> {
    looked(LOOKING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The same, but where they are being tried right now nothing is known yet.
pub(super) fn trials_unless_looking() -> Option<Trials> {
    match LOOKING.try_lock() {
        Ok(one) => looked(one),
        Err(TryLockError::Poisoned(one)) => looked(one.into_inner()),
        Err(TryLockError::WouldBlock) => trials(),
    }
}

fn looked(one: MutexGuard<'_, ()>) -> Option<Trials> {
    if trials().is_none()
        && let Some(look) = LOOK.get()
    {
        look();
    }
    drop(one);
    trials()
}

/// How the cards of this machine did, if somebody has tried them.
pub fn trials() -> Option<Trials> {
    TRIALS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::CardMemory;

    fn card(name: &str, memory: u64) -> CardInfo {
        CardInfo {
            name: name.to_owned(),
            driver: "1.0".to_owned(),
            backend: "vulkan".to_owned(),
            is_software: false,
            memory: CardMemory::Shared(memory),
            largest_binding: 1 << 30,
            largest_buffer: 1 << 31,
        }
    }

    #[test]
    fn a_trial_belongs_to_a_number_and_a_card_whatever_memory_the_machine_tells() {
        let fault = || Err("it computes otherwise".to_owned());
        let trial = |number, rates| Trial { number, card: card("twin", 8 << 30), rates };
        let well = Ok(Rates { tall: 1.0, head: 1.0, decode: 1.0 });
        let trials = Trials { cards: vec![trial(0, fault()), trial(1, well)], processor: None, fault: None };
        let of = |number, card: &CardInfo| trials.of(number, card).map(|trial| trial.rates.is_ok());
        assert_eq!(of(0, &card("twin", 8 << 30)), Some(false));
        assert_eq!(of(1, &card("twin", (8 << 30) - 4096)), Some(true));
        assert_eq!(of(1, &card("another", 8 << 30)), None);
        assert_eq!(of(2, &card("twin", 8 << 30)), None);
    }
}
