//! The answers that TI-DPO's triplet term samples: one to each pair of a step, from the policy as it is.

use std::collections::BTreeMap;

use model::{Doc, GenerateOptions, PolicyError, Sampling};

use crate::{
    dataset::packing::pack,
    error::Result,
    importance::Anchor,
    run::{context::Context, training::Training},
};

/// How they are sampled, as the released code does.
const TEMPERATURE: f64 = 0.8;
const TOP_K: usize = 50;
const TOP_P: f64 = 0.95;

impl Training {
    /// An answer to the prompt of each of these pairs, by pair; none where the policy said nothing. The seed is the
    /// step's. `None` = stopped meanwhile.
    pub fn sample_anchors(
        &mut self,
        met: &[usize],
        step: u64,
        context: &mut Context<'_>,
    ) -> Result<Option<BTreeMap<usize, Anchor>>> {
        if !self.config.has_triplet() {
            return Ok(Some(BTreeMap::new()));
        }
        let prompts: Vec<Vec<u32>> =
            met.iter().map(|&index| self.dataset.pairs.train[index].doc.prefix.to_vec()).collect();
        let options = GenerateOptions {
            sampling: Sampling { top_k: TOP_K, top_p: TOP_P, ..Sampling::at(TEMPERATURE) },
            max_new: self.config.ti.anchor_tokens,
            seed: self.config.train.shuffle_seed ^ step.rotate_left(40),
            stop: self.codec.stop_ids().to_vec(),
            ..GenerateOptions::default()
        };
        let Some(sampled) =
            context.generate("Sampling answers for the weights of tokens", self.weights(), &prompts, &options)?
        else {
            return Ok(None);
        };
        let said: Vec<(usize, Doc)> = met
            .iter()
            .zip(prompts)
            .zip(sampled)
            .filter(|(_, generation)| !generation.ids.is_empty())
            .map(|((&index, prefix), generation)| (index, Doc::new(prefix, vec![generation.ids])))
            .collect();
        let mut anchors = BTreeMap::new();
        let docs = said.iter().map(|(index, doc)| (*index, doc));
        for packed in pack(docs, self.state.budget).map_err(PolicyError::from)? {
            if context.attend(Some(self.weights()))?.is_break() {
                return Ok(None);
            }
            let read = self.anchors.origin.log_probs(&mut self.trainer.policy, &packed.row)?;
            for (index, answers) in packed.by_owner(&read) {
                let ids = said.iter().find(|(of, _)| *of == index).map(|(_, doc)| doc.continuations[0].to_vec());
                if let (Some(ids), [reference]) = (ids, answers) {
                    anchors.insert(index, Anchor { ids, reference: reference.clone() });
                }
            }
        }
        Ok(Some(anchors))
    }
}
