//! Opens the real window.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use engine::{Engine, EngineOptions, Waker};
use state::{Command, Views};

use super::{App, EngineLink, Leave, VIEWS_KEY};

/// While events come in the window draws this often at most: software rasterizers share the processor with training.
const PACE: Duration = Duration::from_millis(100);

/// What draws the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Renderer {
    /// OpenGL: light on machines that draw in software.
    #[default]
    Glow,
    Wgpu,
}

#[derive(Debug, Clone, Default)]
pub struct WindowOptions {
    pub renderer: Renderer,
    /// Compute threads where a run's settings name none; absent = one less than the machine has.
    pub threads: Option<usize>,
    /// Closes the window from elsewhere.
    pub leave: Leave,
}

/// Shows the window on `project`, else on the last one; returns when it is closed.
pub fn run(project: Option<PathBuf>, options: WindowOptions) -> anyhow::Result<()> {
    let native = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Nudge")
            .with_app_id("nudge")
            // With its frame and a panel it fits a screen of 1280 by 800.
            .with_inner_size([1260.0, 740.0])
            .with_clamp_size_to_monitor_size(true)
            .with_min_inner_size([900.0, 600.0]),
        renderer: match options.renderer {
            Renderer::Glow => eframe::Renderer::Glow,
            Renderer::Wgpu => eframe::Renderer::Wgpu,
        },
        ..Default::default()
    };
    eframe::run_native(
        "nudge",
        native,
        Box::new(move |cc| {
            let views: Views = cc.storage.and_then(|storage| eframe::get_value(storage, VIEWS_KEY)).unwrap_or_default();
            let ctx = cc.egui_ctx.clone();
            let waker: Waker = Arc::new(move || ctx.request_repaint_after(PACE));
            let engine = Engine::start(waker, EngineOptions::beside_window(options.threads))?;
            options.leave.tell(&cc.egui_ctx, engine.farewell());
            let mut app = App::new(&cc.egui_ctx, views, EngineLink::of(engine));
            app.leave = options.leave;
            if let Some(threads) = options.threads {
                app.threads = threads;
            }
            // A folder that was moved away since is no reason to start with an error.
            let last = app.views.last_project.clone().filter(|dir| dir.is_dir());
            app.commands.push(match project.or(last) {
                Some(dir) => Command::OpenProject(dir),
                None => Command::OpenDemo,
            });
            Ok(Box::new(app))
        }),
    )
    .map_err(|error| anyhow::anyhow!("{error}"))
    .context("Could not open a window")
}
