//! Pairs that are being drawn, a few prompts at a time: a run that is going and other questions get their turn between.

use std::{collections::VecDeque, sync::Arc};

use data::Prompt;

use crate::protocol::{Candidates, DrawnPair, RequestId, RunControl, Weights};

/// Prompts at a time beside a run that trains, and while nothing else is done.
const BESIDE_A_RUN: usize = 2;
const ALONE: usize = 16;

/// One request, as far as it is not done.
pub struct Drawing {
    pub request: RequestId,
    pub source: Weights,
    /// Of the weights, without the step: what the answers' origin begins with.
    pub name: String,
    pub prompts: Arc<[Prompt]>,
    pub asked: Candidates,
    pub control: Arc<RunControl>,
    /// Prompts that had their turn.
    done: usize,
}

impl Drawing {
    pub fn new(
        request: RequestId,
        source: Weights,
        name: String,
        prompts: Arc<[Prompt]>,
        asked: Candidates,
        control: Arc<RunControl>,
    ) -> Self {
        Self { request, source, name, prompts, asked, control, done: 0 }
    }

    /// The prompts whose turn it is.
    pub fn turn(&self, beside_a_run: bool) -> &[Prompt] {
        let most = if beside_a_run { BESIDE_A_RUN } else { ALONE };
        let rest = &self.prompts[self.done..];
        &rest[..rest.len().min(most)]
    }

    /// All prompts had their turn, or nobody wants the rest.
    pub fn has_ended(&self) -> bool {
        self.done == self.prompts.len() || self.control.stopping()
    }
}

/// Requests in the order they came.
#[derive(Default)]
pub struct Drawings(VecDeque<Drawing>);

impl Drawings {
    pub fn push(&mut self, drawing: Drawing) {
        self.0.push_back(drawing);
    }

    /// The one whose turn it is; it goes back with [`Self::put_back`] while there is more of it.
    pub fn take(&mut self) -> Option<Drawing> {
        self.0.pop_front()
    }

    /// With what has come of it. Prompts of a turn that was cut short have another one.
    pub fn put_back(&mut self, mut drawing: Drawing, heard: usize) {
        drawing.done += heard;
        self.0.push_front(drawing);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What came of the prompts of one turn: a place each, empty where it was cut short.
pub struct Turn(Vec<Option<DrawnPair>>);

impl Turn {
    pub fn of(prompts: usize) -> Self {
        Self((0..prompts).map(|_| None).collect())
    }

    pub fn hear(&mut self, index: usize, drawn: DrawnPair) {
        self.0[index] = Some(drawn);
    }

    /// In the order of the prompts, up to the first that has to be asked again.
    pub fn whole(self) -> impl Iterator<Item = DrawnPair> {
        self.0.into_iter().map_while(|drawn| drawn)
    }
}
