//! `nudge export`: a run's weights as other tools read them, proven by reading them back.

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use serde_json::json;

use super::{
    args::{Export, StoredName},
    drive,
    ending::{Ending, usage},
    output,
    place::project_and_run,
};
use crate::{
    engine::{
        compute_pool,
        trained::{Trained, Which},
    },
    export::{self, Subject},
    model::{MergedOptions, Stored},
};

pub fn run(args: &Export, threads: Option<u16>) -> Result<Ending> {
    let options = MergedOptions {
        stored: args.dtype.map(|dtype| match dtype {
            StoredName::F32 => Stored::F32,
            StoredName::F16 => Stored::F16,
            StoredName::Bf16 => Stored::Bf16,
        }),
        max_shard_bytes: bytes(&args.max_shard_size)?,
    };
    let (project, record) = project_and_run(&args.place, args.demo)?;
    let which = match args.step {
        Some(step) => Which::Step(step),
        None if args.best => Which::Best,
        None => Which::Newest,
    };
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let mut on_phase = |phase: &str| bar.set_message(phase.to_owned());
    let (root, run) = (project.dir().to_owned(), record.id);
    drop(project);
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let (step, proof, dir) = pool.install(|| -> Result<_> {
        on_phase("Loading the run");
        let trained = Trained::load(&root, run, which)?;
        let subject = Subject {
            policy: &trained.policy,
            folder: &trained.folder,
            probes: &trained.probes,
            about: &trained.about,
            overwrite: args.overwrite,
        };
        let (proof, dir) = match (&args.adapter, &args.merged) {
            (Some(dir), _) => (export::adapter(&subject, dir, &mut on_phase)?, dir),
            (None, Some(dir)) => (export::merged(&subject, dir, options, &mut on_phase)?, dir),
            (None, None) => return Err(usage("Name --adapter DIR or --merged DIR.")),
        };
        Ok((trained.about.step, proof, dir))
    })?;
    bar.finish_and_clear();
    if args.json {
        output::json(&json!({
            "run": record.id,
            "step": step,
            "dir": dir,
            "probes": proof.probes,
            "max_logit_difference": proof.difference,
            "max_logit_effect": proof.effect,
            "outputs_changed": proof.changed,
        }))?;
    } else {
        output::line(format!(
            "Wrote step {step} of {} to {}. Read back on {} prompts: logits equal to {:.1e}, up to {:.3} from the base \
             model; outputs changed on {} of {}.",
            record.name,
            dir.display(),
            proof.probes,
            proof.difference,
            proof.effect,
            proof.changed,
            proof.probes
        ))?;
    }
    Ok(Ending::Done)
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
        .ok_or_else(|| {
            usage(format!(
                "Expected a size such as 5GB or 500MB, found \"{text}\"."
            ))
        })
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
