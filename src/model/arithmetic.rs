//! In what a policy's matrices are multiplied: what was chosen, what it was chosen from, and how it is told.

use super::{LoadOptions, Spec, rates::Rates, source::Source, tensors::EMBEDDING};
use ::kernels::{Compute, DType, Multiplier, Place};
use data::config::Precision;

/// In what the processor computes, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    pub compute: Compute,
    /// What each multiplier did here; absent where there was nothing to choose.
    pub rates: Option<Rates>,
}

impl Chosen {
    /// Products and activations in f32, and no choice about it.
    pub(super) const F32: Self = Self { compute: Compute::F32, rates: None };

    /// What the options leave open is measured; a multiplier that they name counts where this processor has it.
    pub(super) fn of(options: &LoadOptions, weights: &Source, spec: &Spec) -> Self {
        let is_open = match options.precision {
            Precision::Bf16 => true,
            Precision::Auto => options.trains_an_adapter() && weights.is_bf16(EMBEDDING),
            Precision::F32 | Precision::Q8_0 | Precision::Q4K => false,
        };
        if !is_open {
            return Self::F32;
        }
        let named = options.multiplier.filter(|by| by.is_present());
        let rates = if named.is_none() { Some(Rates::of(spec)) } else { None };
        let by = named.or_else(|| rates.as_ref().map(Rates::best)).unwrap_or(Multiplier::F32);
        Self { compute: compute(options.precision, by), rates }
    }

    /// An accelerator's libraries multiply what its activations are.
    pub(super) fn on_device(precision: Precision) -> Self {
        let compute = if precision == Precision::Bf16 { Compute::Bf16(Multiplier::F32) } else { Compute::F32 };
        Self { compute, rates: None }
    }

    /// What makes log-probs other numbers than those of f32, as a part of the policy's identity.
    pub(super) fn in_words(&self, place: &Place) -> Option<&'static str> {
        match self.compute {
            Compute::F32 => None,
            Compute::Bf16(Multiplier::F32) if place.has_own_kernels() => Some("bf16, multiplied in f32"),
            Compute::Bf16(_) => Some("bf16"),
        }
    }
}

/// A folder in bf16 is only computed in bf16 where that is quicker; who asks for bf16 also wants its smaller
/// activations.
fn compute(precision: Precision, by: Multiplier) -> Compute {
    if precision == Precision::Auto && by == Multiplier::F32 { Compute::F32 } else { Compute::Bf16(by) }
}

/// What would be chosen to train an adapter on these weights, as far as that is known without measuring.
pub(super) fn foreseen(weights: &Source, spec: &Spec) -> Compute {
    let known = if weights.is_bf16(EMBEDDING) { Rates::known(spec) } else { None };
    compute(Precision::Auto, known.map_or(Multiplier::F32, |rates| rates.best()))
}

/// In what, and by what.
#[derive(Debug, Clone, PartialEq)]
pub enum Products {
    /// On the processor, by this; with what each multiplier did here, in GFLOP/s, where there was a choice.
    Processor(Compute, Vec<(Multiplier, f64)>),
    /// On an accelerator, whose libraries choose.
    Device(DType),
}

impl Products {
    /// `f32` or `bf16`: what the factors of the large products are.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Processor(compute, _) if compute.multiplier().rounds() => "bf16",
            Self::Processor(..) => "f32",
            Self::Device(dtype) => dtype.as_str(),
        }
    }

    /// What takes them on the processor.
    pub fn multiplier(&self) -> Option<Multiplier> {
        match self {
            Self::Processor(compute, _) => Some(compute.multiplier()),
            Self::Device(_) => None,
        }
    }

    /// What goes behind the name in a sentence, if anything does.
    pub fn remark(&self) -> Option<String> {
        let (compute, rates) = match self {
            Self::Processor(compute, rates) => (compute, rates),
            Self::Device(_) => return Some("on the device".to_owned()),
        };
        let by = match compute.multiplier() {
            Multiplier::F32 => None,
            Multiplier::Loops => Some("in plain loops, which are slow".to_owned()),
            by => Some(format!("by {}", by.name())),
        };
        let told: Vec<String> =
            rates.iter().map(|(by, gflops)| format!("{} {gflops:.0} GFLOP/s", title(*by))).collect();
        let measured = (!told.is_empty()).then(|| format!("(measured here: {})", told.join(", ")));
        let parts: Vec<String> = by.into_iter().chain(measured).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}

/// A multiplier in a list of rates.
fn title(by: Multiplier) -> String {
    match by {
        Multiplier::F32 => "f32".to_owned(),
        by => format!("bf16 by {}", by.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_told_with_what_it_was_made_from() {
        let rates = vec![(Multiplier::F32, 213.4), (Multiplier::Pairs, 89.1)];
        let products = Products::Processor(Compute::F32, rates.clone());
        assert_eq!(products.name(), "f32");
        let told = products.remark().unwrap();
        assert_eq!(told, "(measured here: f32 213 GFLOP/s, bf16 by avx512-bf16 89 GFLOP/s)");
        let products = Products::Processor(Compute::Bf16(Multiplier::Tiles), rates);
        assert_eq!(products.name(), "bf16");
        assert!(products.remark().unwrap().starts_with("by amx-bf16 (measured here: f32 213"));
        // Activations alone are kept in bf16: the products are still those of f32.
        let products = Products::Processor(Compute::Bf16(Multiplier::F32), Vec::new());
        assert_eq!((products.name(), products.remark()), ("f32", None));
    }

    #[test]
    fn only_who_asks_for_bf16_keeps_activations_in_it_without_its_products() {
        assert_eq!(compute(Precision::Auto, Multiplier::F32), Compute::F32);
        assert_eq!(compute(Precision::Bf16, Multiplier::F32), Compute::Bf16(Multiplier::F32));
        assert_eq!(compute(Precision::Auto, Multiplier::Pairs), Compute::Bf16(Multiplier::Pairs));
    }
}
