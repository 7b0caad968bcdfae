//! `nudge export`: a run's weights as other tools read them, proven by reading them back, or a report of it.

use std::{ops::ControlFlow, path::PathBuf, sync::atomic::Ordering};

use anyhow::{Context as _, Result};
use data::counted;
use engine::{
    self, compute_pool,
    protocol::{AdapterStrength, ExportOrder, GgufType, MergedOptions, WeightType, What, WhichCheckpoint},
};
use indicatif::ProgressBar;
use serde_json::json;

use super::{
    args::Export,
    drive,
    ending::{Ending, on_interrupt, usage},
    output,
};

pub fn run(args: &Export, threads: Option<u16>) -> Result<Ending> {
    let (what, to) = what_and_where(args)?;
    let (project, record) = args.of.open()?;
    let order = ExportOrder {
        project: project.dir().to_owned(),
        run: record.id,
        which: match args.step {
            Some(step) => WhichCheckpoint::Step(step),
            None if args.best => WhichCheckpoint::Best,
            None => WhichCheckpoint::Newest,
        },
        what,
        strength: AdapterStrength::percent(args.strength).unwrap_or_default(),
        to: to.clone(),
        overwrite: args.overwrite,
    };
    drop(project);
    let interrupted = on_interrupt("Stopping: nothing is left of it.", || {})?;
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let mut on_phase = |phase: &str, share: Option<f32>| {
        bar.set_message(match share {
            Some(share) => format!("{phase}, {:.0} %", 100.0 * share),
            None => phase.to_owned(),
        });
        if interrupted.load(Ordering::Acquire) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let exported = pool.install(|| engine::export(&order, &mut on_phase));
    bar.finish_and_clear();
    // What was in its place already stays there.
    if exported.is_err() && interrupted.load(Ordering::Acquire) {
        return Ok(Ending::Interrupted);
    }
    let exported = exported?;
    let step = exported.step;
    match exported.proof {
        None if args.json => output::json(&json!({"run": record.id, "step": step, "file": to}))?,
        None => output::line(format!("Wrote the report of {}, up to step {step}, to {}.", record.name, to.display()))?,
        Some(proof) if args.json => output::json(&json!({
            "run": record.id,
            "step": step,
            "dir": to,
            "probes": proof.probes,
            "max_logit_difference": proof.difference,
            "max_logit_rounding": proof.rounding,
            "max_logit": proof.largest,
            "max_logit_effect": proof.effect,
            "outputs_changed": proof.changed,
            "passed_over": exported.passed_over,
            "remarks": exported.remarks,
        }))?,
        Some(proof) => {
            let rounding = proof.rounding.filter(|rounding| *rounding > 0.0).map_or_else(String::new, |rounding| {
                format!(" but for the rounding of its weights, which moves them by up to {rounding:.1e}")
            });
            output::line(format!(
                "Wrote step {step} of {} to {}. Read back on {}: logits equal {}{rounding}, up to {:.3} from the model \
                 without it; outputs changed on {} of {}. Its README.md says how to load it.",
                record.name,
                to.display(),
                counted(proof.probes, "prompt", "prompts"),
                proof.closeness(),
                proof.effect,
                proof.changed,
                proof.probes
            ))?;
            for remark in &exported.remarks {
                output::line(format!("Note: {remark}."))?;
            }
        }
    }
    Ok(Ending::Done)
}

fn what_and_where(args: &Export) -> Result<(What, &PathBuf)> {
    if let Some(dir) = &args.adapter {
        Ok((What::Adapter { layout: args.layout, part: args.part }, dir))
    } else if let Some(dir) = &args.merged {
        let stored = match args.dtype {
            None => None,
            Some(GgufType::F32) => Some(WeightType::F32),
            Some(GgufType::F16) => Some(WeightType::F16),
            Some(GgufType::Bf16) => Some(WeightType::Bf16),
            Some(GgufType::Q8_0 | GgufType::Q4K | GgufType::Q4_0) => {
                return Err(usage("A merged folder holds f32, f16 or bf16; blocks of a few bits are for --gguf DIR."));
            }
        };
        Ok((What::Merged(MergedOptions { stored, max_shard_bytes: bytes(&args.max_shard_size)? }), dir))
    } else if let Some(dir) = &args.gguf {
        Ok((What::Gguf(args.dtype.unwrap_or_default()), dir))
    } else if let Some(file) = &args.report {
        Ok((What::Report, file))
    } else {
        Err(usage("Name --adapter DIR, --merged DIR, --gguf DIR or --report FILE."))
    }
}

/// "5GB", "500MB" or a number of bytes; decimal units, as Transformers counts them.
fn bytes(text: &str) -> Result<u64> {
    let upper = text.trim().to_uppercase();
    let (digits, unit) = [("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)]
        .into_iter()
        .find_map(|(unit, size)| Some((upper.strip_suffix(unit)?, size)))
        .unwrap_or((&upper, 1));
    let number: Option<u64> = digits.trim().parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| usage(format!("Expected a size such as 5GB or 500MB, found \"{text}\".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal() {
        assert_eq!(bytes("5GB").unwrap(), 5_000_000_000);
        assert_eq!(bytes(" 20 kb ").unwrap(), 20_000);
        assert_eq!(bytes("77").unwrap(), 77);
        for nonsense in ["", "GB", "0", "-1MB", "1.5GB", "99999999999GB"] {
            assert!(bytes(nonsense).is_err(), "{nonsense}");
        }
    }
}
