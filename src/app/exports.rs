//! Exports runs, on a thread of their own: loading, writing and proving takes minutes for a large model.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use data::counted;
use engine::{
    self,
    catalog::bytes_on_disk,
    compute_pool,
    protocol::{AdapterFormat, AdapterPart, AdapterStrength, ExportOrder, GgufType, MergedOptions, WeightType, What},
};
use export::{Bundled, Comparison, ExportError};
use state::{
    Notice,
    export::{ExportControl, ExportDone, ExportKind, ExportPlan, Exporting, StoredAs},
};
use store::{Project, RunId};

use super::{
    App,
    jobs::{Lane, update},
};

impl App {
    pub(super) fn export_run(&mut self, plan: ExportPlan) {
        let models = &mut self.workspace.models;
        let Some(project) = &self.workspace.project else {
            return;
        };
        if models.exporting.is_under_way() {
            return;
        }
        let root = project.dir.clone();
        let control = Arc::new(ExportControl::default());
        models.exporting = Exporting::UnderWay { plan: plan.clone(), control: Arc::clone(&control) };
        let ctx = self.ctx.clone();
        let threads = self.threads;
        self.jobs.aside(Lane::Export, "Could not export the run", move || {
            let mut say = |phase: &str, share: Option<f32>| {
                match share {
                    None => control.set_phase(phase),
                    Some(share) => control.set_share(phase, share),
                }
                ctx.request_repaint_after(Duration::from_millis(100));
                if control.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let mut work = || -> anyhow::Result<ExportDone> {
                let pool = compute_pool(threads)?;
                let asked = order(&root, &plan);
                let exported = pool.install(|| engine::export(&asked, &mut say))?;
                Ok(ExportDone { plan: plan.clone(), bytes: bytes_on_disk(&plan.to), exported })
            };
            let done = work();
            Ok(update(move |workspace, _| {
                let exporting = &mut workspace.models.exporting;
                match done {
                    Ok(exported) => *exporting = Exporting::Done(Box::new(exported)),
                    Err(error) => match export_error(&error) {
                        Some(ExportError::Stopped) => {
                            *exporting = Exporting::Idle;
                            workspace.notices.push(Notice::info(error.to_string()));
                        }
                        Some(ExportError::Occupied { ours: true, path }) => {
                            let error = format!("{} holds an earlier export", path.display());
                            *exporting = Exporting::Failed { plan, error, replaceable: true };
                        }
                        Some(ExportError::Exists { path }) => {
                            *exporting = Exporting::Failed {
                                plan,
                                error: format!("{} is there already", path.display()),
                                replaceable: true,
                            };
                        }
                        _ => {
                            *exporting = Exporting::Failed { plan, error: format!("{error:#}"), replaceable: false };
                        }
                    },
                }
            }))
        });
    }

    /// Puts a run into one file. A dialog has asked whether a file that is there may be replaced.
    pub(super) fn bundle(&mut self, run: RunId, file: PathBuf) {
        let Some(root) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else {
            return;
        };
        let name = self.workspace.runs.name(run);
        self.jobs.aside(Lane::Export, "Could not put the run into a file", move || {
            let Bundled { step, bytes } = export::bundle(&Project::open(&root)?, run, &file, true)?;
            let weights = step.map_or_else(|| "without weights".to_owned(), |step| format!("weights of step {step}"));
            let text = format!("{name} is in {}, {weights}, {}", file.display(), data::size(bytes));
            Ok(update(move |workspace, _| {
                workspace.notices.push(Notice::info(text));
            }))
        });
    }

    /// Tells runs side by side in a file; the dialog has asked about one that is there.
    pub(super) fn report_of(&mut self, runs: Vec<RunId>, file: PathBuf) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else {
            return;
        };
        self.jobs.aside(Lane::Export, "Could not write the report", move || {
            let project = Project::open(&dir)?;
            project.refuse_own(&file)?;
            let records = runs.iter().map(|run| project.run(*run)).collect::<Result<Vec<_>, _>>()?;
            Comparison::of(&project, &records)?.write(&file, true)?;
            Ok(update(move |workspace, _| {
                let told = counted(records.len(), "run", "runs");
                workspace.notices.push(Notice::info(format!("The report of {told} is written: {}", file.display())));
            }))
        });
    }
}

fn export_error(error: &anyhow::Error) -> Option<&ExportError> {
    error.downcast_ref()
}

/// The same as the engine takes it.
fn order(root: &Path, plan: &ExportPlan) -> ExportOrder {
    let adapter = |layout| What::Adapter { layout, part: AdapterPart::Sum };
    ExportOrder {
        project: root.to_owned(),
        run: plan.run,
        which: plan.which,
        what: match plan.layout {
            ExportKind::Adapter => adapter(AdapterFormat::Peft),
            ExportKind::Mlx => adapter(AdapterFormat::Mlx),
            ExportKind::Gguf => adapter(AdapterFormat::Gguf),
            ExportKind::Merged => What::Merged(MergedOptions {
                stored: match plan.stored {
                    StoredAs::F32 => Some(WeightType::F32),
                    StoredAs::F16 => Some(WeightType::F16),
                    StoredAs::Bf16 => Some(WeightType::Bf16),
                    StoredAs::Base | StoredAs::Q8_0 | StoredAs::Q4K | StoredAs::Q4_0 => None,
                },
                max_shard_bytes: MAX_SHARD_BYTES,
            }),
            ExportKind::GgufModel => What::Gguf(match plan.stored {
                StoredAs::F32 => GgufType::F32,
                StoredAs::F16 => GgufType::F16,
                StoredAs::Bf16 => GgufType::Bf16,
                StoredAs::Q4K => GgufType::Q4K,
                StoredAs::Q4_0 => GgufType::Q4_0,
                StoredAs::Base | StoredAs::Q8_0 => GgufType::Q8_0,
            }),
            ExportKind::Report => What::Report,
        },
        strength: AdapterStrength::percent(plan.strength).unwrap_or_default(),
        to: plan.to.clone(),
        overwrite: plan.replace,
    }
}

/// Weight files of a merged model are no larger, as Transformers writes them.
const MAX_SHARD_BYTES: u64 = 5_000_000_000;
