//! A run on another machine: the folder that it is trained from there, what is heard of it, what comes back.
//!
//! - `refuse`: which runs can be handed over; `documents`: their token ids, steps and measurements as lines; `folder`:
//!   the whole of it, with `manifest`. `folder/` holds what lies in it as it is: `train.py` and what starts it.
//! - `told`: what `train.py` tells, line by line; `follow`: into the project as it comes; `places`: where it lies.
//! - `takeback`: what it has learnt, proven and made a checkpoint of the run.
//!
//! The steps are the trainer's own: [`train::run::training::Training::pass_ahead`] draws them. Nothing here names the
//! network: how the folder gets there and back is the user's.

mod documents;
mod error;
mod folder;
mod follow;
mod listener;
mod manifest;
mod places;
mod refuse;
mod takeback;
mod told;

pub use error::{HandoverError, Result};
pub use folder::{HandedOver, hand_over};
pub use follow::{Follower, HeardAway};
pub use listener::Listener;
pub use refuse::refuse;
pub use takeback::{TakenBack, WantedBack, give_up, take_back};
pub use told::{AwayEvent, AwayWord, Ear};
