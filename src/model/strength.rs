//! A trained policy at another strength: what was learnt, weakened or exaggerated.

use super::{Policy, PolicyError, Result, lora, source::Source};
use crate::LoadError;

impl Policy {
    /// Scales what was trained: `strength` 1 is as it is, 0 the model without it, above 1 further the same way. An
    /// adapter's ΔW is multiplied by it (one that was trained further, as a whole); of full weights, how far each moved
    /// from where it began. Adapters that are frozen below stay as they are.
    pub fn set_strength(&mut self, strength: f32) -> Result<(), LoadError> {
        if strength == 1.0 {
            return Ok(());
        }
        let base = if self.trains_its_weights() { Some(Source::open(&self.model)?.1) } else { None };
        let entries = self.parameters.entries().to_vec();
        for entry in entries {
            if base.is_none() && !lora::is_b(&entry.name) {
                continue;
            }
            let Some((view, _)) = self.parameters.view(&entry.name)? else {
                continue;
            };
            let mut values = view.to_vec::<f32>().map_err(PolicyError::from)?;
            match &base {
                None => {
                    for value in &mut values {
                        *value *= strength;
                    }
                }
                Some(base) => {
                    let start = base.read(&entry.name, &entry.shape)?;
                    for (value, start) in values.iter_mut().zip(start) {
                        *value = start + strength * (*value - start);
                    }
                }
            }
            self.set_tensor(&entry.name, values)?;
        }
        Ok(())
    }
}
