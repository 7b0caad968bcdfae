//! Opens the real window.

use std::path::PathBuf;

use anyhow::Context as _;
use crossbeam::channel::bounded;

use super::{App, EngineLink, VIEWS_KEY};
use crate::state::{Command, Views};

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
}

/// Shows the window on `project`, else on the last one; returns when it is closed.
pub fn run(project: Option<PathBuf>, options: WindowOptions) -> anyhow::Result<()> {
    let native = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Nudge")
            .with_app_id("nudge")
            .with_inner_size([1280.0, 800.0])
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
            let views: Views = cc
                .storage
                .and_then(|storage| eframe::get_value(storage, VIEWS_KEY))
                .unwrap_or_default();
            let (requests, _) = bounded(16);
            let (_, events) = bounded(256);
            let app = App::new(&cc.egui_ctx, views, EngineLink { requests, events });
            if let Some(dir) = project.or_else(|| app.views.last_project.clone()) {
                app.commands.push(Command::OpenProject(dir));
            }
            Ok(Box::new(app))
        }),
    )
    .map_err(|error| anyhow::anyhow!("{error}"))
    .context("Could not open a window")
}
