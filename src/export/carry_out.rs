//! The one place where an export of a run is carried out, for the window and the command line alike.

use store::Project;

use crate::{ExportError, ExportOrder, Exported, OnPhase, Proof, RunHistory, Subject, What, trained::Trained};

/// Does what the order says. `on_phase` hears what is going on and stops it by breaking; then, as after an error,
/// nothing is left behind.
///
/// Works from what is on disk, so the run may go on meanwhile. It keeps its thread busy: call it inside
/// a pool of its own where others want the processor too.
pub fn export(order: &ExportOrder, on_phase: &mut OnPhase<'_>) -> Result<Exported, ExportError> {
    let to = &order.to;
    match order.what {
        What::Adapter { layout, part } => {
            weights(order, on_phase, |subject, on_phase| crate::adapter(subject, layout, part, to, on_phase))
        }
        What::Merged(options) => {
            weights(order, on_phase, |subject, on_phase| crate::merged(subject, to, options, on_phase))
        }
        What::Gguf(kind) => {
            let mut remarks = Vec::new();
            let exported = weights(order, on_phase, |subject, on_phase| {
                let (proof, found) = crate::gguf(subject, kind, to, on_phase)?;
                remarks = found;
                Ok(proof)
            })?;
            Ok(Exported { remarks, ..exported })
        }
        What::Report => report(order, on_phase),
    }
}

fn weights(
    order: &ExportOrder,
    on_phase: &mut OnPhase<'_>,
    write: impl FnOnce(&Subject<'_>, &mut OnPhase<'_>) -> Result<Proof, ExportError>,
) -> Result<Exported, ExportError> {
    if on_phase("Loading the run", None).is_break() {
        return Err(ExportError::Stopped);
    }
    let trained = Trained::load(&order.project, order.run, order.which, order.strength)?;
    let subject = Subject {
        policy: &trained.policy,
        folder: &trained.folder,
        probes: &trained.probes,
        about: &trained.about,
        overwrite: order.overwrite,
    };
    let proof = write(&subject, on_phase)?;
    Ok(Exported { step: trained.about.step, proof: Some(proof), passed_over: trained.passed_over, remarks: Vec::new() })
}

fn report(order: &ExportOrder, on_phase: &mut OnPhase<'_>) -> Result<Exported, ExportError> {
    if on_phase("Writing the report", None).is_break() {
        return Err(ExportError::Stopped);
    }
    let project = Project::open(&order.project)?;
    project.refuse_own(&order.to)?;
    let record = project.run(order.run)?;
    let story = RunHistory::of(&project, &record)?;
    crate::report(&story, &order.to, order.overwrite)?;
    Ok(Exported { step: record.step, proof: None, passed_over: Vec::new(), remarks: Vec::new() })
}
